# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed add-on inside bpy: what it registers, builds, keeps and says when the engine fails."""

import json
import time

import bpy
import numpy as np
import pytest
from mathutils import Vector

from tests.blender.answers import answer, place


def generate(prompt: str = "a red cube", seed: int = 7) -> bpy.types.Object:
    """Press Generate and return the object."""
    bpy.context.scene.latte3d.prompt, bpy.context.scene.latte3d.seed = prompt, seed
    assert bpy.ops.latte3d.generate() == {"FINISHED"}
    return bpy.context.view_layer.objects.active


def base_color(item: bpy.types.Object) -> bpy.types.Image:
    return next(node.image for node in item.active_material.node_tree.nodes if node.label == "Base Color")


def pixel(image: bpy.types.Image) -> list[int]:
    return [round(255 * value) for value in image.pixels[:3]]


def test_register_and_unregister_twice(package):
    for _ in range(2):
        bpy.ops.preferences.addon_disable(module=package)
        assert not hasattr(bpy.types.Scene, "latte3d") and not hasattr(bpy.types, "LATTE3D_PT_main")
        bpy.ops.preferences.addon_enable(module=package)
        assert hasattr(bpy.types.Scene, "latte3d") and hasattr(bpy.types, "LATTE3D_PT_main")


def test_object_from_prompt(addon, engine_of):
    engine_of()
    bpy.context.scene.cursor.location = (1.0, 2.0, 0.5)
    item = generate()
    assert item.name == "a red cube 7" and item.select_get() and item.users_collection[0].name == "Generated"
    assert (item["latte3d_prompt"], item["latte3d_seed"], item["latte3d_model"]) == ("a red cube", 7, "fake")
    assert item["latte3d_version"] == addon("scene.meshes").version() != "0"
    assert json.loads(item["latte3d_settings"])["detail"] == "standard"
    assert {"networks", "wire", "insert"} <= json.loads(item["latte3d_timings_ms"]).keys()
    # 0.8 m high as the model says, the centre of its base at the cursor, transforms applied
    assert item.location == Vector((1.0, 2.0, 0.5)) and item.scale == Vector((1, 1, 1)) and item.rotation_mode == "XYZ"
    np.testing.assert_allclose(np.array(item.bound_box).min(0), [-0.25, -0.25, 0], atol=1e-6)
    assert item.dimensions.z == pytest.approx(0.8)
    assert len(item.data.uv_layers) == 1 and not item.data.validate()
    assert all(polygon.use_smooth for polygon in item.data.polygons)


def test_front_faces_minus_y(addon):
    """The engine's front, +X, is Blender's -Y; its left, +Y, is Blender's +X."""
    ends = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float32)
    turned = addon("scene.meshes").to_blender(ends, 2.0)
    np.testing.assert_allclose(turned, [[0, -1, 1], [0, 1, 1], [1, 0, 1], [-1, 0, 1], [0, 0, 2], [0, 0, 0]], atol=1e-6)


def test_material(addon, engine_of):
    engine_of()
    tree = generate().active_material.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    source = {name: shader.inputs[name].links[0].from_socket for name in ("Base Color", "Roughness", "Metallic")}
    assert source["Base Color"].node.image.colorspace_settings.name == "sRGB"
    assert (source["Roughness"].name, source["Metallic"].name) == ("Green", "Blue")
    numbers = source["Roughness"].node.inputs["Color"].links[0].from_node.image
    assert numbers.colorspace_settings.name == "Non-Color" and numbers.packed_file


def test_texture_survives_saving(addon, engine_of, tmp_path):
    engine_of()
    generate()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    image = base_color(bpy.data.objects["a red cube 7"])
    assert pixel(image) == [200, 40, 30] and image.packed_file


def test_place_again(addon, engine_of):
    """The result can be placed again with another height, and stand on what is below."""
    engine_of()
    generate()
    bpy.ops.mesh.primitive_plane_add(size=10, location=(5, 5, 1))
    number = addon("session").SESSION.last.number
    bpy.ops.latte3d.place_result(result=number, height=2.0, location=(5, 5, 3), drop=True)
    item = bpy.context.view_layer.objects.active
    assert item.dimensions.z == pytest.approx(2.0) and item.location.z == pytest.approx(1.0)
    with pytest.raises(RuntimeError, match="no longer kept"):
        bpy.ops.latte3d.place_result(result=number + 1000)


def test_what_has_no_real_height_keeps_the_one_given_last(addon):
    """A model of a library without units: by the redo panel, and by scaling."""
    unknown = {"height_known": False, "model": "props"}
    (first,) = place(addon, answer("a pizza", 1, (1.0, 1.0, 0.1), **unknown))
    assert first.dimensions.z == pytest.approx(0.1)
    (second,) = place(addon, answer("A pizza ", 2, (1.0, 1.0, 0.2), **unknown), height=0.05)
    second.scale *= 2
    bpy.context.view_layer.update()
    others = answer("a pizza", 3, **unknown), answer("a cup", 3, **unknown), answer("a pizza", 3, model="test")
    heights = [item.dimensions.z for item in place(addon, *others)]
    assert heights == pytest.approx([0.1, 0.34, 0.34])


def test_new_objects_are_not_hidden_with_old_ones(addon, engine_of):
    engine_of()
    first = generate()
    second = generate(seed=8)
    assert first.users_collection == second.users_collection
    hidden = bpy.context.view_layer.layer_collection.children["Generated"]
    hidden.exclude = True
    third = generate(seed=9)
    assert third.users_collection[0].name == "Generated.001" and third.visible_get() and third.select_get()
    assert hidden.exclude and generate(seed=10).users_collection == third.users_collection


@pytest.mark.parametrize(
    ("fault", "says"),
    [("oom", "memory"), ("crash", "stopped unexpectedly.*status 9"), ("load", "There is no model.*Choose a model folder")],
)
def test_faults(addon, engine_of, fault, says):
    """Each fault is one clear sentence; nothing is left behind, and the next engine works."""
    engine_of(fault)
    with pytest.raises(RuntimeError, match=f"(?s){says}"):
        generate()
    assert not bpy.data.objects and not bpy.data.meshes and not bpy.data.images
    engine_of()
    assert generate().dimensions.z == pytest.approx(0.8)


def test_after_a_crash_the_engine_starts_again_and_makes_the_rest(addon, engine_of, tmp_path, monkeypatch):
    """Once: what was made before it is not made again, and an engine that crashes each time is given up."""
    monkeypatch.setenv("LATTE3D_FAKE_ONCE", str(tmp_path / "crashed"))
    engine_of()
    jobs = addon("session")
    prompts = ["a cube", "an explosive cube", "a ball", "a box"]
    job = jobs.submit(jobs.at_cursor(bpy.context.scene), prompts, [1, 2, 3, 4], {}, styles=[None, None, [0.5] * 8, None])
    first = jobs.SESSION.engine.process
    with pytest.raises(jobs.EngineFault, match="stopped unexpectedly"):
        jobs.run_now(job)
    assert (tmp_path / "crashed").exists() and jobs.SESSION.engine.process is not first
    made = [(outcome.prompt, outcome.seed, outcome.style) for outcome in job.made.values()]
    assert made == [("a cube", 1, None)] and sorted(job.made) == [0]
    again = jobs.submit(jobs.at_cursor(bpy.context.scene), ["a ball", "a box"], [3, 4], {})
    assert [result.prompt for result in jobs.run_now(again)] == ["a ball", "a box"] and jobs.SESSION.engine.crashes == 0


def test_a_remote_engine_is_a_command(addon, package, fake_engine, tmp_path):
    """As behind ssh: the command is run as it is typed."""
    chosen = bpy.context.preferences.addons[package].preferences
    box = tmp_path / "my box"
    box.write_text(f'#!/bin/sh\ntest "$1" = "a b" && shift && exec "{fake_engine()}" -m core.service.worker "$@"\n')
    box.chmod(0o755)
    chosen.engine_python, chosen.engine_command = str(tmp_path / "nowhere"), f"'{box}' 'a b' --device cpu"
    try:
        assert generate()["latte3d_model"]
        with pytest.raises(addon("session").EngineFault, match="not set up"):
            addon("machine").launch(here=True)  # what trains is of this machine
        chosen.engine_command = "ssh 'box"
        with pytest.raises(RuntimeError, match="cannot be read.*No closing quotation"):
            generate()
    finally:
        chosen.engine_command = chosen.engine_python = ""


def test_an_engine_that_nobody_asks_rests(addon, engine_of, package):
    engine_of()
    generate()
    jobs, chosen = addon("session"), bpy.context.preferences.addons[package].preferences
    assert jobs._rest() == jobs.LOOK_S and jobs.SESSION.engine.state == "READY"
    jobs.SESSION.used -= 60 * chosen.idle_minutes + 1
    chosen.idle_minutes = 0
    assert jobs._rest() == jobs.LOOK_S and jobs.SESSION.engine.state == "READY"
    chosen.idle_minutes = 30
    assert jobs._rest() is None and jobs.SESSION.resting
    assert jobs.SESSION.engine.state == "STOPPED" and jobs.SESSION.engine.process is None
    jobs.SESSION.shown = True
    jobs._step()
    assert jobs.SESSION.engine.state == "STOPPED"  # a panel that is drawn does not wake it
    assert generate(seed=8) and not jobs.SESSION.resting


def test_text_before_the_handshake(addon, engine_of):
    engine_of("garbage")
    generate()
    assert addon("session").SESSION.engine.text.startswith("Welcome to this machine!")


def test_not_an_engine(addon, package, tmp_path):
    program = tmp_path / "talker"
    program.write_text("#!/bin/sh\necho 'No module named core'\nexit 3\n")
    program.chmod(0o755)
    bpy.context.preferences.addons[package].preferences.engine_python = str(program)
    with pytest.raises(RuntimeError, match="does not start.*status 3.*No module named core"):
        generate()


def test_killed_engine_restarts(addon, engine_of):
    engine_of()
    generate()
    process = addon("session").SESSION.engine.process.popen
    process.kill()
    process.wait()
    time.sleep(0.2)
    assert generate(seed=8).name == "a red cube 8"


def test_cancel_ends_a_deaf_engine(addon, engine_of, monkeypatch):
    """An engine that does not answer the cancel message is ended; a later click starts another."""
    jobs, client = addon("session"), addon("client.engine")
    engine = jobs.SESSION.engine
    monkeypatch.setattr(client, "CANCEL_PATIENCE_S", 0.2)
    engine_of("hang")
    job = jobs.submit(jobs.at_cursor(bpy.context.scene), ["a cube"], [0], {})
    while job.state == "queued":
        engine.poll(wait_s=0.1)
    process = engine.process.popen
    engine.cancel(job)
    end = time.monotonic() + 10
    while not job.over and time.monotonic() < end:
        engine.poll(wait_s=0.1)
    assert job.state == "cancelled" and engine.state == client.STOPPED and process.poll() is not None


def test_the_object_finds_its_scene(addon, engine_of):
    """Another scene is shown: it waits. Its own is renamed meanwhile: it is found. Its own is deleted: that is said."""
    jobs, placing = addon("session"), addon("scene.placing")
    engine_of()
    home, other, window = bpy.context.scene, bpy.data.scenes.new("Other"), bpy.context.window_manager.windows[0]
    job = jobs.submit(jobs.at_cursor(bpy.context.scene), ["a cube"], [0], {})
    while not job.over:
        jobs.SESSION.engine.poll(wait_s=0.1)
    home.name, window.scene = "Home", other
    jobs.collect()
    placing.place_next(jobs.SESSION)
    assert "“Home”" in jobs.SESSION.hold and not bpy.data.objects
    window.scene = home
    place = job.place
    assert placing.obstacle(place, placing.window_for(place)) == ""  # placing into a window's viewport takes a real window: tests/window
    window.scene = other
    bpy.data.scenes.remove(home)
    placing.place_next(jobs.SESSION)
    assert "scene was deleted" in str(jobs.SESSION.fault) and not jobs.SESSION.to_place


def test_a_batch_of_64_with_one_empty_surface(addon, engine_of):
    """63 objects, placed while the rest is being made, each an undo step of its own; and one sentence."""
    jobs, placing = addon("session"), addon("scene.placing")
    engine_of()
    prompts = [f"cube number {number}" for number in range(64)]
    prompts[20] = "an empty cube"
    job = jobs.submit(jobs.at_cursor(bpy.context.scene), prompts, [0] * 64, {"detail": "draft"})
    early, factors, end = 0, [], time.monotonic() + 60
    while (not job.over or jobs.SESSION.to_place) and time.monotonic() < end:
        jobs.collect()
        factors.append(job.factor)
        if jobs.SESSION.to_place:
            placing.place(jobs.SESSION.to_place.pop(0))
            early += not job.over
        time.sleep(0.002)
    jobs.collect()
    assert job.state == "done" and early and factors == sorted(factors) and factors[-1] == 1
    made = [one["latte3d_prompt"] for one in bpy.data.objects]
    assert sorted(made) == sorted(prompt for prompt in prompts if "empty" not in prompt)
    assert len({tuple(one.location) for one in bpy.data.objects}) == 63 and len(jobs.SESSION.results) == jobs.KEEP
    assert str(jobs.SESSION.fault).startswith("“an empty cube”: The model made nothing for this prompt. Its surface is empty.")


def test_many_failures_are_one_sentence(addon, engine_of):
    jobs = addon("session")
    engine_of()
    prompts = ["an empty cube", "a cube", "an impossible cube"]
    (made,) = jobs.run_now(jobs.submit(jobs.at_cursor(bpy.context.scene), prompts, [0] * 3, {}))
    assert made.prompt == "a cube"
    assert str(jobs.SESSION.fault).startswith("2 of 3 objects could not be made. The first is “an empty cube”: The model made nothing")


def test_a_style_reaches_the_object(addon, engine_of):
    jobs, style = addon("session"), [0.5, -2.0, *[0.0] * 6]
    engine_of()
    (made,) = jobs.run_now(jobs.submit(jobs.at_cursor(bpy.context.scene), ["a cube"], [0], {}, styles=[style]))
    addon("scene.placing").place(made)
    assert list(bpy.context.view_layer.objects.active["latte3d_style"]) == style


def test_unregister_ends_the_engine(addon, engine_of, package):
    engine_of()
    generate()
    process = addon("session").SESSION.engine.process.popen
    bpy.ops.preferences.addon_disable(module=package)
    assert process.wait(5) is not None
    bpy.ops.preferences.addon_enable(module=package)


@pytest.mark.parametrize(("prompt", "says"), [("  ", "poll"), ("x" * 513, "too long")])
def test_bad_prompts(addon, engine_of, prompt, says):
    engine_of()
    with pytest.raises(RuntimeError, match=says):
        generate(prompt)


def test_not_set_up(addon):
    with pytest.raises(RuntimeError, match="not set up"):
        generate()
