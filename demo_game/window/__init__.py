"""The window: everything of Hexhold that people see, hear, click and type into.

    shapes, glyphs       meshes: polygons, strokes, dice, the eight signs of the seats
    page                 what is on the screen, as values: meshes, texts, what can be clicked
    hexes                where the land lies on a page
    fields               text being typed
    words, story         what is said to people: standing, network; changes of host and their milliseconds
    look                 what a scene needs to know of the moment: size, pointer, focus, time

    game                 which screen is shown, and what input means
    menu, lobby, board, over, playback, overlays       the screens: each makes a page, and knows what a press means
    side, dice, land_view, aim, fights, chat, strip    parts of them

    link                 the member behind it all, over `failover.start_member`; never blocks
    asking, inviting, standing, plug  its requests; ticket, code and list; its status; what pulls the plug
    saved, browser       settings, and the games that one can return to; open games on the network
    start                from the command line to a window
    scripts              letters of scripts that run from right to left
    sounds_made          what it sounds like
    probe                what each frame shows, written down for tests
    auto                 a window that plays its own seat, for shows
    tiles, poster, staging            the showcase in windows: where they go, the director's page, what it shows
    fonts, painter, sounds, shots, main, director      the only files that know pyglet

A scene makes a page out of what it is shown; the painter compares it with the last one and touches only what
changed. So scenes can be tested without a screen, and nothing is drawn twice.
"""
