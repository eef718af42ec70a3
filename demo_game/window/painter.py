"""Draws pages: keeps what is on the screen, and touches only what changed since the last page."""

from __future__ import annotations

from typing import Any

import pyglet
from pyglet import gl
from pyglet.graphics import Batch, Group
from pyglet.graphics.shader import Shader, ShaderProgram

from demo_game.window import fonts
from demo_game.window.page import Page, Shape, Text
from demo_game.window.scripts import displayed

_VERTEX = """#version 150 core
    in vec2 position;
    in vec4 colors;
    out vec4 shade;
    uniform vec2 page;
    void main() {
        gl_Position = vec4(position.x * 2.0 / page.x - 1.0, 1.0 - position.y * 2.0 / page.y, 0.0, 1.0);
        shade = colors;
    }
"""
_FRAGMENT = """#version 150 core
    in vec4 shade;
    out vec4 final_color;
    void main() { final_color = shade; }
"""
_BASELINE = 0.36
"""Where the line that letters stand on lies below the middle of the small ones, in sizes."""


class _Meshes(Group):
    """Draws meshes in units of the page."""

    def __init__(self, program: ShaderProgram, order: int) -> None:
        super().__init__(order=order)
        self.program = program

    def set_state(self) -> None:
        self.program.use()
        gl.glEnable(gl.GL_BLEND)
        gl.glBlendFunc(gl.GL_SRC_ALPHA, gl.GL_ONE_MINUS_SRC_ALPHA)

    def unset_state(self) -> None:
        gl.glDisable(gl.GL_BLEND)
        self.program.stop()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Meshes) and other.order == self.order

    def __hash__(self) -> int:
        return hash(("meshes", self.order))


class Painter:
    """What is on the screen of one window. Needs its OpenGL context."""

    def __init__(self) -> None:
        self._batch = Batch()
        self._program = ShaderProgram(Shader(_VERTEX, "vertex"), Shader(_FRAGMENT, "fragment"))
        self._shown: dict[Shape | Text, Any] = {}
        self._groups: dict[tuple[str, int], Group] = {}
        self._size = (0.0, 0.0, 0.0)
        self.scale = 1.0

    def measure(self, words: str, size: float, bold: bool) -> float:
        """Tell how wide a text is, in units of the page."""
        return fonts.width_px(words, size * self.scale, bold) / self.scale

    def resize(self, width: float, height: float, scale: float) -> None:
        """Take over the page's size and the pixels in a unit of it. All texts are made anew."""
        if (width, height, scale) != self._size:
            self._size, self.scale = (width, height, scale), scale
            for item in [item for item in self._shown if isinstance(item, Text)]:
                self._shown.pop(item).delete()
            self._program["page"] = (width, height)

    def show(self, page: Page) -> None:
        """Make the screen's content equal to a page, and draw it."""
        wanted = dict.fromkeys(page.items)
        for item in [item for item in self._shown if item not in wanted]:
            self._shown.pop(item).delete()
        for item in wanted:
            if item not in self._shown:
                self._shown[item] = self._made(item)
        self._batch.draw()

    def widths(self) -> list[tuple[Text, float]]:
        """Return every text with the width that it really has, in units of the page; for tests."""
        return [
            (item, shown.content_width / self.scale)
            for item, shown in self._shown.items()
            if isinstance(item, Text)
        ]

    def _made(self, item: Shape | Text) -> Any:
        if isinstance(item, Shape):
            mesh = item.mesh
            return self._program.vertex_list(
                len(mesh.points) // 2,
                gl.GL_TRIANGLES,
                batch=self._batch,
                group=self._group("mesh", item.layer),
                position=("f", mesh.points),
                colors=("Bn", mesh.inks),
            )
        _, height, scale = self._size
        fonts.load(item.size * scale, item.bold)  # before pyglet does: with its fallbacks
        return pyglet.text.Label(
            displayed(item.words),
            x=round(item.x * scale),
            y=round((height - item.y - item.size * _BASELINE) * scale),
            font_name=fonts.family(),
            font_size=item.size * scale * fonts.POINTS_PER_PIXEL,
            weight="bold" if item.bold else "normal",
            color=item.ink,
            anchor_x=item.anchor,  # type: ignore[arg-type]
            anchor_y="baseline",
            batch=self._batch,
            group=self._group("text", item.layer),
        )

    def _group(self, kind: str, layer: int) -> Group:
        key = (kind, layer)
        if key not in self._groups:
            order = 2 * layer + (kind == "text")
            self._groups[key] = _Meshes(self._program, order) if kind == "mesh" else Group(order=order)
        return self._groups[key]
