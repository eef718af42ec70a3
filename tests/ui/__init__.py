"""Real windows under Xvfb, worked by xdotool as a person would, looked at by their probe and their pictures."""
