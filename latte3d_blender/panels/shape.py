# SPDX-License-Identifier: GPL-3.0-or-later
"""What shapes an object beside its prompt: a second prompt, and the shape of what is selected; and painting what is selected."""

import bpy

from .. import session
from ..scene import painting
from ..words import say
from .setup import wrapped


def draw_shape(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The fold of the panel."""
    wanted = context.scene.latte3d
    restyles, paints = session.SESSION.engine.knows_adherence(wanted.model), "retexture" in session.SESSION.engine.features
    header, body = layout.panel("latte3d_shape", default_closed=True)
    header.label(text=", ".join([say("Blend"), *([say("Restyle")] if restyles else []), *([say("Re-texture")] if paints else [])]))
    if not body:
        return
    body.prop(wanted, "use_blend", text="Blend with a second prompt")
    if wanted.use_blend:
        body.prop(wanted, "blend_prompt", text="", placeholder="a brown mushroom")
        body.prop(wanted, "blend", slider=True)
    if restyles:
        body.separator()
        wrapped(body, context, "In the shape of what is selected:")
        body.prop(wanted, "adherence", slider=True)
        body.row().prop(wanted, "restyle_place", expand=True)
        body.operator("latte3d.restyle", icon="MOD_REMESH")
    if paints:
        body.separator()
        wrapped(body, context, "The look alone, on the selected object:")
        body.row().prop(wanted, "retexture_uvs", expand=True)
        body.prop(wanted, "retexture_front", text="")
        body.operator("latte3d.retexture", icon="TEXTURE")
        if found := painting.about(context.active_object):
            wrapped(body, context, f"Painted as “{found['prompt']}”, seed {found['seed']}", "INFO")
