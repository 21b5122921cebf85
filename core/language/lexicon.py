# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain English, whatever a model has learnt: shades of colours, what artists say of any picture, articles."""

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


def with_article(phrase: str) -> str:
    """ "a" or "an" before a phrase, by its sound."""
    silent = phrase.startswith(("hour", "honest", "heir"))
    spoken_y = phrase.startswith(("uni", "use", "ute", "eu", "one"))
    return ("an " if silent or (phrase[:1] in "aeiou" and not spoken_y) else "a ") + phrase
