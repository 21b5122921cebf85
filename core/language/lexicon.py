# SPDX-License-Identifier: GPL-3.0-or-later
"""What the words of prompts mean: all that the reading of prompts takes from the starter library, and what is true of English anyway."""

from core.library.starter import grammar
from core.library.starter.kinds import KINDS
from core.library.starter.palette import COLORS, FINISHES, MATERIALS

SHADES = {  # text models think of "crimson" as near to purple; shades that are things too ("rose", "lemon") stay as they are
    "red": "crimson scarlet maroon burgundy vermilion", "blue": "navy azure cobalt ultramarine", "teal": "turquoise cyan aqua aquamarine",
    "purple": "violet indigo mauve", "pink": "magenta fuchsia", "brown": "tan umber sienna", "cream": "beige ivory", "gray": "silver",
    "black": "ebony",
}  # fmt: skip
COLOR_OF = {shade: color for color, shades in SHADES.items() for shade in shades.split()}

# What artists say of any thing alike, apart by | or in lines. A space stands for spaces and hyphens.
ARTISTS_WORDS = """
3d|3d art|3d asset|3d game asset|3d model|3d object|3d printable|3d printed|3d render|3d rendering|3d scan|3ds max|hd render|low poly
low polygon|lowpoly|high poly|highpoly|mid poly|poly|polygonal|voxel|voxel art|voxelized|pixel art|pixelated|stylized|stylised|cartoon
cartoony|cartoonish|cartoon like|toon|toony|toon shaded|cel shaded|cell shaded|comic|comic book|anime|manga|chibi|kawaii|cute|cutesy
adorable|realistic|photorealistic|photo realistic|photo real|photoreal|hyperrealistic|hyper realistic|hyperreal|semi realistic
ultra realistic|ultrarealistic|lifelike|life like|true to life|naturalistic|realism|pixar|disney|ghibli|dreamworks|minimalist|minimalistic
minimal|simple|simplified|detailed|highly detailed|ultra detailed|hyper detailed|super detailed|insanely detailed|finely detailed
fine details|well detailed|high detail|high details|high detailed|extremely detailed|intricate|intricately detailed|intricate details
rich details|details|high res|hi res|high resolution|low res|high quality|highest quality|best quality|top quality|good quality|quality|hq
uhq|hd|uhd|fhd|full hd|ultra hd|ultra high definition|high definition|hdr|hdri|2k|4k|8k|12k|16k|1080p|720p|2160p|1k|6k|masterpiece
professional|award winning|best|trending|trending on artstation|trending on sketchfab|artstation|artstation hq|sketchfab|deviantart
cgsociety|cgtrader|turbosquid|behance|pinterest|featured on artstation|concept art|concept|digital art|digital painting|fan art|clip art
clipart|vector art|line art|artwork|art|isometric|isometric view|isometric art|isometric style|orthographic|perspective|perspective view
front view|side view|top view|back view|top down|top down view|three quarter view|bird's eye view|eye level|view|wide angle|wide shot
close up|closeup|macro|macro shot|product shot|product photo|product photography|photography|bokeh|depth of field|shallow depth of field
dof|sharp focus|in focus|studio lighting|studio light|studio lights|soft lighting|soft light|warm lighting|natural lighting|natural light
cinematic|cinematic lighting|cinematic light|dramatic lighting|dramatic|volumetric lighting|volumetric light|volumetric|rim lighting
rim light|global illumination|gi|ambient occlusion|ao|lighting|good lighting|beautiful lighting|soft shadows|shadows|ray tracing
raytracing|ray traced|raytraced|path tracing|path traced|rtx|subsurface scattering|sss|reflections|tone mapping|physically based
physically based rendering|pbr|pbr material|pbr materials|pbr texture|pbr textures|pbr textured|unreal engine|unreal engine 5
unreal engine 4|unreal|ue4|ue5|ue 5|unity|unity 3d|unity asset|unity engine|unity3d|godot|cryengine|game engine|octane|octane render
octane rendered|octane rendering|blender|blender 3d|blender render|blender model|blender cycles|blender eevee|made in blender
rendered in blender|rendered in unreal engine|cycles|cycles render|eevee|redshift|redshift render|arnold|arnold render|vray|v ray
vray render|v ray render|corona render|keyshot|zbrush|zbrush sculpt|maya|autodesk maya|autodesk|c4d|cinema 4d|cinema4d|houdini
substance painter|substance designer|substance|marmoset|marmoset toolbag|povray|nvidia omniverse|omniverse|luxrender|game|game asset
game assets|game art|game prop|game props|game object|game item|game icon|game ready|gameready|game ready asset|game model|game style
video game|video game asset|video game prop|videogame|mobile game|mobile game asset|rpg|rpg item|rpg asset|rpg game|mmorpg|indie game
indie game asset|nintendo|playstation|ps1|ps2|psx|n64|roblox|minecraft|fortnite|overwatch|asset|assets|prop|props|icon|emoji|sprite
low poly style|mesh|topology|good topology|clean topology|clean mesh|quad topology|quads|retopologized|uv unwrapped|uv mapped|unwrapped
rigged|animated|optimized|watertight|printable|print ready|stl|obj|fbx|glb|gltf|usd|usdz|blend|textured|untextured|fully textured
well textured|texture|textures|high quality textures|highly textured|hand painted|handpainted|hand painted texture|hand painted textures
hand drawn|handdrawn|hand made|handmade|hand crafted|handcrafted|hand modeled|cgi|cg|cg art|vfx|render|rendered|rendering|vray rendered
sculpt|sculpted|digital sculpt|figurine|white background|plain background|simple background|black background|gray background
grey background|clean background|transparent background|neutral background|solid background|background|isolated|isolated on white
isolated object|single object|single|centered|centred|full body|full view|studio|studio background|studio shot|turntable|beautiful
beautifully made|pretty|nice|nice looking|lovely|cool|cool looking|awesome|amazing|stunning|gorgeous|epic|perfect|wonderful|fantastic
great|good|good looking|attractive|charming|very|aesthetic|style|stylish|hyper|ultra|super|high end|next gen|nextgen|aaa|aaa quality
aaa game|aaa game asset|triple a|vibrant|vibrant colors|vivid|vivid colors|bright colors|colors|colours|symmetrical|symmetric
smooth shading|flat shading|flat shaded|smooth shaded|shaded|clay render|toy|toy like|wireframe|diffuse|albedo|normal map|basic|generic
typical|standard|ordinary|normal|regular|random|classic
"""
# What a thing may be asked for as: "a photo of …"
PICTURES = (
    "model render rendering picture image photo photograph photography illustration drawing painting sketch sculpture statue portrait "
    "icon  asset mesh prop figurine depiction version rendition view scene diorama sprite shot scan object art artwork design wallpaper "
    "closeup  piece pair set type kind sort bunch group collection "
)

_TABLES = {
    "color": grammar.COLOR_WORDS, "material": grammar.MATERIAL_NOUNS, "pattern": grammar.PATTERN_NOUNS, "finish": grammar.FINISH_WORDS,
    "proportion": grammar.PROPORTION_WORDS, "size": grammar.SIZE_WORDS, "shade": grammar.SHADE_WORDS, "count": grammar.COUNT_WORDS,
}  # fmt: skip
_ADJECTIVES = {"material": grammar.MATERIAL_ADJECTIVES, "pattern": grammar.PATTERN_ADJECTIVES}
# Word -> which attribute it says, and which value of it
ATTRIBUTES: dict[str, tuple[str, str]] = {
    word: (what, value)
    for what, table in [*_TABLES.items(), *_ADJECTIVES.items()]
    for value, phrases in table.items()
    for phrase in phrases
    for word in phrase.split()
}
# Materials, patterns and finishes, one word each that strange ones may become. Not all their words: "golden" is near to "smart", "dull" to
# "sharp", "spotted" to "seen"
QUALITIES = {words[0] for table in (grammar.MATERIAL_NOUNS, grammar.PATTERN_ADJECTIVES, grammar.FINISH_WORDS) for words in table.values()}
QUALITIES -= {"spotted"}
OPPOSITES = {  # alike in use only
    word for word, (what, _) in ATTRIBUTES.items() if what in ("color", "size", "proportion", "shade", "count")
}  # fmt: skip

# Last words of names and the kinds that they name; where several names end with one, the shortest says which
_NAMES = sorted(((name.split(), kind.name) for kind in KINDS.values() for name in (kind.name, *kind.synonyms)), key=lambda n: -len(n[0]))
NAMES = {tuple(words): kind for words, kind in _NAMES}
THINGS = {words[-1]: kind for words, kind in _NAMES if words[-1] not in OPPOSITES}
_WOODS = {words[0] for words, kind in _NAMES if kind in ("tree", "pine") and len(words) == 1} - {"tree"}  # "oak" is also what tables are of
_GROWN = {kind.name for kind in KINDS.values() if kind.family == "plants" and "wood" not in kind.materials}


def words_for(kind: str) -> set[str]:
    """The words of a kind's names and of its second part."""
    if kind not in KINDS:
        return {kind}
    own = KINDS[kind]
    return {word for name in (own.name, *own.synonyms, own.second.name) for word in name.split()}


def first_words(kind: str) -> set[str]:
    """What comes before the nouns of a kind's names: "castle" of towers."""
    own = KINDS.get(kind)
    return {word for name in (own.name, *own.synonyms) for word in name.split()[:-1]} if own else set()


def part_of(kind: str | None) -> str:
    """The name of a kind's second part; "" where there is none."""
    return KINDS[kind].second.name if kind in KINDS else ""


def is_wood(word: str, kind: str | None) -> bool:
    """Whether the name of a tree, said before a kind's name, says what it is made of."""
    return word in _WOODS and kind is not None and kind not in _GROWN


def can_be(kind: str | None, known: str) -> bool:
    """Whether a kind can be what a word for a material says: "pine" before "tree" is no material."""
    return not (kind in _GROWN and ATTRIBUTES.get(known) == ("material", "wood"))


def named(words: list[str]) -> str | None:
    """The library's kind of which the last words are a name: "rocket ship" is one, whatever a ship is."""
    return next((kind for n in (3, 2, 1) if (kind := NAMES.get(tuple(words[-n:])))), None)


def instead(excluded: set[str], kind: str, said: set[str]) -> tuple[list[str], list[str]]:
    """What has to be said of a kind so that it does not have what a prompt excludes: adjectives, and parts with a colour. What is not said
    is as usual for the kind, and a usual mushroom is red.

    excluded, said: words. Materials shine as metals do, or not, whatever they are called.
    """
    own = KINDS.get(kind)
    if own is None:
        return [], []
    out = {ATTRIBUTES[word] for word in excluded if word in ATTRIBUTES}
    named = {ATTRIBUTES[word][0] for word in said if word in ATTRIBUTES}
    adjectives, parts = [], []
    free = [color for color in (*own.colors, *COLORS) if ("color", color) not in out]
    metals = {name for name, finish in MATERIALS.items() if finish.metallic}
    barred = {value for what, value in out if what == "material"} | (metals if ("material", "metal") in out else set())
    if any(what == "finish" for what, _ in out) and "finish" not in named:
        adjectives += [name for name in FINISHES if ("finish", name) not in out][:1]
    if any(("color", color) in out for color in own.colors[:2]) and not named & {"color", "material"}:
        adjectives += free[:1]
    if own.materials[0] in barred and "material" not in named:
        fits = [grammar.MATERIAL_ADJECTIVES[name][0] for name in own.materials if name not in barred and name != "natural"]
        adjectives += fits[:1]
    if ("color", own.second.color) in out and not own.second.optional and own.second.name not in said:
        parts += [f"{color} {own.second.name}" for color in free if color not in adjectives][:1]
    return adjectives, parts


def always_has(kind: str | None, word: str) -> bool:
    """Whether a kind has a second part of that name that no wording leaves out."""
    return kind in KINDS and not KINDS[kind].second.optional and word.rstrip("s") == KINDS[kind].second.name.rstrip("s")
