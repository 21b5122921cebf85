# SPDX-License-Identifier: GPL-3.0-or-later
"""Headings and example prompts of the kinds, for people who choose from what a model can make.

The examples of the starter model's kinds were chosen by their pictures: it makes them well, and in many colours together.
"""

from core.library.starter.kinds import KINDS

GROUPS = {  # family -> heading
    "furniture": "Furniture & Lights",
    "lights": "Furniture & Lights",
    "containers": "Containers & Kitchen",
    "kitchen": "Containers & Kitchen",
    "tools": "Weapons, Tools & Treasure",
    "keepsakes": "Weapons, Tools & Treasure",
    "food": "Food",
    "plants": "Nature",
    "animals": "Animals & Characters",
    "toys": "Animals & Characters",
    "buildings": "Buildings & Outdoors",
    "outdoors": "Buildings & Outdoors",
    "vehicles": "Vehicles",
}
EXAMPLES = {  # kind -> prompt
    "mushroom": "a red mushroom with white spots",
    "barrel": "a red barrel with gray hoops",
    "chest": "a wooden treasure chest with yellow bands",
    "tree": "a green tree with red apples",
    "cactus": "a green cactus with an orange pot",
    "rock": "a gray rock with green moss",
    "house": "a cream house with a red roof",
    "tower": "a gray stone tower with a blue roof",
    "car": "a teal car with black wheels",
    "duck": "a yellow duck with an orange beak",
    "chair": "a wooden chair with a teal cushion",
    "table": "a wooden table with cream legs",
    "lamp": "a teal lamp with a cream shade",
    "vase": "a white vase with blue stripes",
    "mug": "a red mug with white spots",
    "teapot": "a blue teapot with white spots",
    "apple": "a red apple with a green leaf",
    "pumpkin": "an orange pumpkin",
    "boat": "a wooden boat with a white sail",
    "truck": "a yellow truck with a gray bed",
    "rocket": "a white rocket with blue stripes and red fins",
    "robot": "a blue robot with a yellow antenna",
    "snowman": "a snowman with a red scarf",
    "sword": "a golden sword with a red handle",
    "shield": "a blue shield with a white cross",
    "crate": "a cream crate with a brown frame",
    "bench": "a green bench with brown legs",
    "crown": "a golden crown with red jewels",
    "cake": "a pink birthday cake with yellow candles",
    "fish": "an orange fish with white stripes",
    "flower": "a purple flower with a yellow center",
    "tent": "a red and white striped tent",
    # not made by the starter model
    "stool": "a red leather stool with three legs",
    "sofa": "a teal sofa with cream cushions",
    "bookshelf": "a wooden bookshelf with red books",
    "bed": "a wooden bed with a blue blanket",
    "bucket": "a gray metal bucket with a black handle",
    "pitcher": "a blue pitcher with a cream handle",
    "cauldron": "a black cauldron with gray legs",
    "basket": "a cream basket with a brown handle",
    "watering can": "a green watering can with a gray spout",
    "lantern": "a red lantern with yellow glass",
    "candelabra": "a golden candelabra with three cream candles",
    "lamppost": "a green lamppost with three yellow globes",
    "axe": "a metal axe with a brown handle",
    "hammer": "a metal hammer with a brown handle",
    "anvil": "a gray anvil with a brown stump",
    "key": "a golden key",
    "trophy": "a golden trophy with a black base",
    "bell": "a golden bell with a brown handle",
    "umbrella": "a red umbrella with a brown handle",
    "donut": "a pink donut with white sprinkles",
    "cupcake": "a pink cupcake with a red cherry",
    "pear": "a green pear",
    "ice cream": "a pink ice cream with an orange cone",
    "cheese": "a yellow cheese with an orange rind",
    "pine": "a green pine with a yellow star",
    "palm": "a green palm with brown coconuts",
    "snail": "a cream snail with a brown shell",
    "cat": "an orange cat with a blue collar",
    "penguin": "a black penguin with an orange beak",
    "well": "a stone well with a red roof",
    "fence": "a white picket fence",
    "bridge": "a stone bridge with brown railings",
    "windmill": "a cream windmill with brown sails",
    "signpost": "a wooden signpost with cream signs",
    "wagon wheel": "a wooden wagon wheel",
    "ladder": "a wooden ladder",
    "airplane": "a red airplane with white wings",
    "train": "a green train with red wheels",
    "bus": "a yellow school bus with black wheels",
    "teddy": "a brown teddy bear with a red bow",
    "dice": "a white dice with black pips",
}


def group_of(kind: str) -> str:
    """The heading that a kind stands under."""
    return GROUPS[KINDS[kind].family]


def example_of(kind: str) -> str:
    """A prompt that shows a kind well."""
    return EXAMPLES[kind]
