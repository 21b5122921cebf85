# SPDX-License-Identifier: GPL-3.0-or-later
"""The data-blocks of new objects: shared by copies, marked edges, numbers instead of flat images, readable names, where they come from."""

import json
import time
import unicodedata

import bpy
import numpy as np
import pytest

from latte3d_blender.client.job import Result
from tests.blender.answers import answer, place
from tests.fake_engine import png

IMAGES = {"base_color": np.frombuffer(png((200, 40, 30)), np.uint8), "metallic_roughness": np.frombuffer(png((0, 128, 255)), np.uint8)}


def textured(**fields) -> Result:
    """An answer whose look is two images."""
    return answer(**{"arrays": IMAGES, "roughness": None, "metallic": None} | fields)


def shader(item: bpy.types.Object) -> bpy.types.Node:
    return next(node for node in item.active_material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")


def blocks() -> tuple[int, int, int]:
    return len(bpy.data.meshes), len(bpy.data.materials), len(bpy.data.images)


@pytest.mark.parametrize("make", [answer, textured])
def test_the_same_again_shares_all(addon, make, tmp_path):
    """Same model, prompt, seed and settings: one mesh, one material, one set of images; after saving and opening too."""
    (first,) = place(addon, make())
    before = blocks()
    (second,) = place(addon, make())
    assert first != second and second.data == first.data and blocks() == before
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "one.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "one.blend"))
    (third,) = place(addon, make())
    assert third.data.users == 3 and blocks() == before


def test_shading_is_chosen_when_it_is_placed(addon):
    """In Adjust Last Operation, without making it again; the smooth ones keep their mesh."""
    (smooth,) = place(addon, textured())
    flat, again, also = place(addon, textured(), smooth=False) + place(addon, textured()) + place(addon, textured(), smooth=False)
    for item, expected in ((smooth, True), (flat, False), (again, True)):
        assert {face.use_smooth for face in item.data.polygons} == {expected}
    assert again.data == smooth.data != flat.data == also.data and flat.active_material == smooth.active_material


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "a red box"},
        {"seed": 1},
        {"style": [0.5] * 8},
        {"model": "another"},
        {"settings": {"detail": "high"}},
        {"size": (0.3, 0.25, 0.34)},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_is_its_own(addon, other):
    settings = other.pop("settings", None)
    (first,), (second,) = place(addon, textured()), place(addon, textured(**other), settings=settings)
    assert second.data != first.data
    assert other.keys() == {"size"} or second.active_material != first.active_material


def test_another_height_shares_the_material(addon):
    (first,), (second,) = place(addon, textured()), place(addon, textured(), height=1.0)
    assert second.data != first.data and second.active_material == first.active_material and second.dimensions.z == pytest.approx(1)


def moved(item):
    item.data.vertices[0].co.x += 0.1


def tinted(item):
    shader(item).inputs["Roughness"].default_value = 0.1


def relinked(item):
    tree = item.active_material.node_tree
    tree.links.remove(next(link for link in tree.links if link.to_socket.name == "Base Color"))


def painted(item):
    image = next(node.image for node in item.active_material.node_tree.nodes if node.label == "Base Color")
    image.pixels[:] = [0.0] * len(image.pixels)


def packed_anew(item):
    painted(item)
    next(node.image for node in item.active_material.node_tree.nodes if node.label == "Base Color").pack()


def keyed(item):
    item.shape_key_add(name="Basis")


@pytest.mark.parametrize("change", [moved, tinted, relinked, painted, packed_anew, keyed])
def test_what_an_artist_changed_is_not_shared(addon, change):
    (first,) = place(addon, textured())
    change(first)
    (second,) = place(addon, textured())
    assert second.data != first.data
    assert (second.active_material == first.active_material) == (change in (moved, keyed))


def test_numbers_instead_of_flat_images(addon):
    """One colour everywhere is a number in the Principled node, linear as sockets are; the viewport shows the same."""
    (made,) = place(addon, answer(color=[1.0, 0.5, 0.0], roughness=0.3, metallic=0.8))
    sockets = shader(made).inputs
    assert sockets["Base Color"].default_value[:] == pytest.approx((1.0, 0.21404, 0.0, 1.0), abs=1e-4)
    assert (sockets["Roughness"].default_value, sockets["Metallic"].default_value) == pytest.approx((0.3, 0.8))
    assert not bpy.data.images and not any(sockets[name].links for name in ("Base Color", "Roughness", "Metallic"))
    material = made.active_material
    assert material.diffuse_color[:] == pytest.approx((1.0, 0.21404, 0.0, 1.0), abs=1e-4)
    assert (material.roughness, material.metallic) == pytest.approx((0.3, 0.8))


def test_one_image_of_two(addon):
    """An image where the surface varies, a number where it does not; of an image only the channel that varies is read."""
    arrays = {"base_color": IMAGES["base_color"]}
    (made,) = place(addon, answer(arrays=arrays, color=[0.5, 0.5, 0.5], roughness=0.9))
    sockets = shader(made).inputs
    assert sockets["Base Color"].links and sockets["Roughness"].default_value == pytest.approx(0.9) and len(bpy.data.images) == 1
    assert made.active_material.diffuse_color[0] == pytest.approx(0.21404, abs=1e-4)  # the mean of its image
    arrays = {"metallic_roughness": IMAGES["metallic_roughness"]}
    sockets = shader(place(addon, answer("another", arrays=arrays, roughness=None, metallic=0.0))[0]).inputs
    assert sockets["Roughness"].links and not sockets["Metallic"].links and sockets["Metallic"].default_value == 0


def test_an_answer_without_color(addon):
    """An engine of before there was one."""
    result = textured()
    for name in ("color", "familiar", "notes", "detail"):
        del result.fields[name]
    assert shader(place(addon, result)[0]).inputs["Base Color"].links


def test_sharp_edges_and_seams(addon):
    sharp, seams = np.array([(0, 1), (3, 1), (7, 5)], np.int32), np.array([(0, 4), (0, 7)], np.int32)  # 0-7 is no edge
    (made,) = place(addon, answer(arrays={"sharp": sharp, "seams": seams}))
    marked = {tuple(sorted(edge.vertices)) for edge in made.data.edges if edge.use_edge_sharp}
    assert marked == {(0, 1), (1, 3), (5, 7)} and made.data.attributes["sharp_edge"].domain == "EDGE"
    assert {tuple(sorted(edge.vertices)) for edge in made.data.edges if edge.use_seam} == {(0, 4)}
    made.data.calc_tangents()
    (plain,) = place(addon, answer("another", arrays={"sharp": np.zeros((0, 2), np.int32)}))
    assert not any(edge.use_edge_sharp or edge.use_seam for edge in plain.data.edges)


def grid(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a grid of 2 × count² triangles."""
    x, y = np.meshgrid(np.arange(count + 1), np.arange(count + 1))
    vertices = np.stack([x, y, np.sin(x) + np.cos(y)], -1).reshape(-1, 3).astype(np.float32)
    corner = (x[:-1, :-1] + (count + 1) * y[:-1, :-1]).ravel()
    quads = np.stack([corner, corner + 1, corner + count + 2, corner + count + 1], 1)
    return vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)


@pytest.mark.parametrize("count", [78, 245], ids=["12k", "120k"])
def test_marking_edges_is_quick(addon, count):
    """Sharp edges and seams cost little against building the mesh (a ratio in one run: machines are busy)."""
    meshes = addon("scene.meshes")
    vertices, triangles = grid(count)
    uvs = np.zeros((len(triangles), 3, 2), np.float32)
    pairs = triangles[np.random.default_rng(0).permutation(len(triangles))[: len(triangles) // 10], :2]
    build, mark = [], []
    for _ in range(9):
        begun = time.perf_counter()
        mesh = meshes.build_mesh("Grid", vertices, triangles, uvs)
        built = time.perf_counter()
        meshes.mark_edges(mesh, use_edge_sharp=pairs, use_seam=pairs)
        build.append(built - begun)
        mark.append(time.perf_counter() - built)
    print(f"{len(triangles)} triangles: built in {1000 * min(build):.1f} ms, marked in {1000 * min(mark):.1f} ms")
    assert min(mark) < 2 * min(build)


NAMES = {
    "a red mushroom": "a red mushroom",
    "  a\tred\n mushroom ": "a red mushroom",
    "a very long description of a chair that nobody would ever read to its end": "a very long description of a chair that",
    "красный гриб с белыми пятнами на высокой ножке": "красный гриб с белыми пятнами на",
    "白い斑点のある赤いキノコが森の中に立っている様子を描いたもの": "白い斑点のある赤いキノコが森の中に立っ",
    "फूलों वाला एक बड़ा लाल मशरूम": "फूलों वाला एक बड़ा लाल",
    "a \u202edeneerg\u202c ghost": "a deneerg ghost",
    "👩\u200d🚀" * 10: None,
    "e\u0301" * 60: None,
    "\u0000\u0001": "Object",
    "": "Object",
}


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
@pytest.mark.parametrize("prompt", NAMES, ids=range(len(NAMES)))
def test_names(addon, prompt, seed):
    """Readable in any script, cut between words or letters, never inside one; the seed and what an image is stay whole."""
    name = addon("scene.meshes").short_name(prompt, seed, " Roughness Metallic")
    assert bpy.data.images.new(name, 1, 1).name == name
    assert bpy.data.images.new(name, 1, 1).name == f"{name}.001"
    assert name.endswith((f" {seed}" if seed else "") + " Roughness Metallic")
    plain = addon("scene.meshes").short_name(prompt, 0)
    assert NAMES[prompt] in (None, plain) and bpy.data.objects.new(plain, None).name == plain
    rest = unicodedata.normalize("NFC", prompt)[len(plain) :]
    assert NAMES[prompt] is not None or not (rest[0] == "\u200d" or plain[-1] == "\u200d" or unicodedata.combining(rest[0]))


def test_names_of_an_object_and_its_data(addon):
    (made,) = place(addon, textured(prompt="a red cube", seed=7))
    names = [made.name, made.data.name, made.active_material.name, *sorted(image.name for image in bpy.data.images)]
    assert names == ["a red cube 7"] * 3 + ["a red cube 7 Base Color", "a red cube 7 Roughness Metallic"]


def test_where_an_object_comes_from(addon):
    """Enough to make it again."""
    item = answer("a purple chair", 3, familiar=False, notes=["Read “purpel” as “purple”.", "“books” was not understood."])
    (made,) = place(addon, item, settings={"detail": "draft", "triangles": 500}, height=1.5)
    assert (made["latte3d_prompt"], made["latte3d_seed"], made["latte3d_model"]) == ("a purple chair", 3, "test")
    size_m = [1.102941, 1.102941, 1.5]
    assert json.loads(made["latte3d_settings"]) == {"detail": "draft", "triangles": 500, "height_m": 1.5, "size_m": size_m}
    assert made["latte3d_familiar"] is False and json.loads(made["latte3d_notes"]) == item.fields["notes"]
    assert made["latte3d_version"] == addon("scene.meshes").version() and "latte3d_style" not in made
    style = [0.25, -1.5, *[0.0] * 6]
    (made,) = place(addon, answer(style=style))
    assert list(made["latte3d_style"]) == style == addon("scene.origin").of(made).style


def test_a_model_trained_anew_shares_nothing_old(addon):
    """Under its old name it makes other UVs, another texture, another colour, numbers instead of images: none of the old is shown."""
    (first,) = place(addon, textured())
    uvs = {"uvs": textured().arrays["uvs"] * np.float32(0.5)}
    color = {"base_color": np.frombuffer(png((1, 2, 3)), np.uint8)}
    others = [textured(arrays=IMAGES | uvs), textured(arrays=IMAGES | color), answer(), answer(color=[0, 0, 0]), answer(roughness=None)]
    made = [first, *[place(addon, other)[0] for other in others]]
    assert len({one.data for one in made}) == 6 and len({one.active_material for one in made}) == 5
    assert made[1].active_material == first.active_material
