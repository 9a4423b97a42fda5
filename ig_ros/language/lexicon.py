"""What everyday things are and what they are for, in a dictionary's words: knowledge a bare label does not carry.

A label that stands here is encoded with its gloss. All entries together are rivals: a query that means one of them, and
not what is on the map, is refused (see sentence.py).
"""

from __future__ import annotations

from ig_ros.language.lexicon_food_and_tools import HOUSEHOLD
from ig_ros.language.synonyms import ENTRY_OF

GLOSSES: dict[str, str] = dict(
    line.strip().split(": ", 1)
    for line in """
    mug: a drinking vessel with a handle, for coffee, tea and other hot drinks
    cup: a small drinking vessel for coffee or tea
    glass: a transparent drinking vessel for water and juice
    bowl: a round deep dish for soup, salad or cereal
    plate: a flat round dish from which a meal is eaten
    bottle: a narrow-necked container for liquids
    ketchup bottle: a bottle of tomato sauce, a condiment for fries and burgers
    mustard bottle: a bottle of yellow sauce, a condiment for sausages
    can: a sealed metal container for food or drinks
    food can: a sealed metal tin of preserved food such as beans or vegetables
    soda can: a metal can of a sweet fizzy drink
    cereal box: a carton of breakfast flakes or muesli
    cracker box: a carton of salted biscuits
    box: a stiff container with a lid, often of cardboard
    book: bound printed pages for reading, such as a novel
    magazine: a thin illustrated periodical for reading
    newspaper: printed daily news
    laptop: a portable computer with a screen and a keyboard
    computer: an electronic machine for processing data
    monitor: a screen that shows a computer's picture
    keyboard: a computer's keys for typing
    mouse: a hand-moved pointing device of a computer
    phone: a mobile device for calling people and for messages
    tablet: a flat touch-screen computer
    television: a large screen for watching programmes and movies
    remote control: a hand-held device that operates a television
    camera: a device for taking photographs
    headphones: worn on the ears to listen to music
    speaker: a loudspeaker that plays sound and music
    radio: a device that receives broadcasts
    calculator: an electronic device for arithmetic
    printer: a machine that prints documents on paper
    microscope: an instrument that magnifies tiny things
    banana: a long curved yellow fruit that is peeled
    apple: a round red or green fruit from a tree
    orange: a round juicy citrus fruit
    lemon: a sour yellow citrus fruit
    pear: a sweet fruit that narrows towards its stem
    strawberry: a small soft red fruit
    tomato: a soft red fruit used as a vegetable
    carrot: an orange root vegetable
    bread: a baked loaf of flour for slices and sandwiches
    cake: a sweet baked dessert
    egg: laid by a hen, boiled or fried for food
    cheese: a food made of milk
    milk carton: a paper container of milk
    ball: a round object for throwing, kicking and playing
    tennis ball: a small bouncing yellow ball for a racket sport
    soccer ball: a ball for playing football
    basketball: a ball to be thrown through a hoop
    racket: a strung bat for tennis
    skateboard: a short board on wheels to ride on
    bicycle: a pedalled vehicle with two wheels
    helmet: a hard hat that protects the head
    toy: a plaything for children
    teddy bear: a soft stuffed animal to cuddle
    chess board: a checkered board for a game of kings and pawns
    dice: small cubes with dots, thrown in games
    marker pen: a felt-tip pen for drawing and writing in thick lines
    marker: a felt-tip pen for drawing and writing in thick lines
    pen: an instrument for writing with ink
    pencil: a wooden stick with graphite for writing and drawing
    paper: thin sheets for writing and printing
    notebook: a book of blank pages for notes
    ruler: a straight strip for measuring length
    stapler: fastens sheets of paper with wire
    adhesive tape: a sticky strip for fastening
    glue: a sticky substance for joining things
    envelope: a paper cover for a letter
    sponge: a soft porous pad that soaks up water, for washing and scrubbing
    soap: a bar or liquid for washing hands
    towel: a cloth for drying the body or hands
    toothbrush: a small brush for cleaning teeth
    toothpaste: a paste for cleaning teeth
    hairbrush: a brush for the hair
    hair dryer: blows hot air to dry hair
    razor: a blade for shaving
    toilet paper: a soft paper roll used in the bathroom
    tissue box: a carton of soft paper handkerchiefs for wiping the nose
    trash can: a bin for garbage and waste
    broom: a long-handled brush for sweeping the floor
    vacuum cleaner: a machine that sucks up dust
    bucket: a round open container for carrying water
    detergent: a cleaning agent for laundry or dishes
    iron: a hot appliance that smooths clothes
    washing machine: an appliance that washes clothes
    desk lamp: an electric light on a stand that lights a desk
    lamp: a device that gives light
    candle: wax with a wick that burns with a flame
    flashlight: a hand-held battery-powered light
    light bulb: the glass part of a lamp that glows
    teapot: a lidded pot with a spout in which tea is brewed and from which it is poured
    kettle: a vessel with a spout for boiling water
    pitcher: a jug from which drinks are poured
    coffee maker: a machine that brews coffee
    alarm clock: a bedside clock that shows the time and rings in the morning
    clock: an instrument that shows the time
    watch: a small clock worn on the wrist
    potted plant: a green living plant with leaves in a flower pot
    flower: the colourful blossom of a plant
    vase: a decorative container for cut flowers
    tree: a tall woody plant with a trunk
    table: furniture with legs and a flat top at which people eat or work
    desk: furniture at which people write and work
    chair: furniture with a back, for one person to sit on
    stool: a seat without a back
    sofa: a long soft seat for several people
    bench: a long hard seat
    bed: furniture for sleeping
    pillow: a soft cushion for the head in bed
    cushion: a soft pad on a sofa or chair
    blanket: a warm bed covering
    mattress: the soft thick pad of a bed
    shelf: a board on which things are stored
    bookshelf: furniture for storing books
    cabinet: furniture with doors for storing things
    drawer: a sliding compartment of a desk or chest
    wardrobe: tall furniture for clothes
    dresser: a chest of drawers for clothes
    mirror: a glass that reflects one's image
    picture: a framed painting or photograph that decorates a wall
    curtain: cloth that hangs at a window
    carpet: a thick textile that covers a floor
    door: a hinged panel through which people enter or leave a room
    window: glass in a wall through which one looks outside
    floor: the surface of a room on which people walk
    wall: an upright side of a room
    ceiling: the upper surface of a room, overhead
    stairs: a set of steps to another storey
    fireplace: a place in a wall for a fire
    radiator: a heater fixed to a wall
    fan: a device with rotating blades that moves air
    refrigerator: a cold appliance in which food is kept
    oven: an appliance for baking and roasting
    stove: an appliance on which food is cooked
    microwave: an appliance that heats food quickly
    toaster: an appliance that browns slices of bread
    blender: an appliance that mixes and purees food
    dishwasher: a machine that washes dishes
    sink: a basin with a tap for washing
    faucet: a tap that lets water flow
    toilet: a bathroom fixture with a seat that is flushed
    bathtub: a large tub for bathing
    shower: a spray of water for washing the body
    frying pan: a flat pan for frying eggs and meat
    pot: a deep pan for cooking soup and pasta
    knife: a blade with a handle for cutting
    fork: a pronged utensil for eating
    spoon: a utensil for stirring and for eating soup
    spatula: a flat utensil for turning food in a pan
    cutting board: a board on which food is cut
    chopsticks: two thin sticks used for eating
    corkscrew: a tool for opening wine bottles
    scissors: two joined blades for cutting paper or cloth
    hammer: a tool for driving nails
    screwdriver: a tool for turning screws
    wrench: a tool for turning nuts and bolts
    pliers: a gripping tool with two jaws
    power drill: an electric tool for making holes
    saw: a toothed blade for cutting wood
    clamp: a device that holds things tightly together
    nail: a pointed metal pin driven into wood
    screw: a threaded metal fastener
    padlock: a detachable lock with a shackle
    key: a metal piece that opens a lock
    battery: a cell that stores electricity
    cable: an insulated electric cord
    power strip: a row of electric sockets
    fire extinguisher: a red cylinder for putting out fires
    toolbox: a case for carrying tools
    rope: a thick strong cord
    backpack: a bag carried on the back
    suitcase: a case for clothes when travelling
    handbag: a small bag for personal things
    wallet: a folding case for money and cards
    purse: a small pouch for coins
    umbrella: a folding canopy against rain
    glasses: lenses in a frame worn to see better
    sunglasses: dark lenses worn against the sun
    hat: a covering for the head
    shoe: an outer covering for the foot
    sock: a knitted covering for the foot
    shirt: a garment for the upper body
    trousers: a garment for the legs, such as jeans
    jacket: a short coat
    glove: a covering for the hand
    tie: a strip of cloth worn around the collar
    guitar: a string instrument that is plucked
    piano: a large instrument with black and white keys
    violin: a string instrument played with a bow
    drum: an instrument that is beaten with sticks
    cat: a small furry pet that purrs
    dog: a pet that barks
    bird: a feathered animal that flies
    fish: an animal that lives in water
    horse: a large animal that is ridden
    elephant: a huge grey animal with a trunk
    person: a human being
    baby: a very young child
    car: a road vehicle with four wheels and an engine
    bus: a large vehicle for passengers
    motorcycle: a two-wheeled vehicle with an engine
    airplane: a flying vehicle with wings
    boat: a vessel that travels on water
    gun: a weapon that shoots bullets
    medicine: pills that treat an illness
    syringe: a needle and tube for injections
    thermometer: an instrument that measures temperature
    wheelchair: a chair on wheels for people who cannot walk
    ladder: steps for climbing up to high places
    tent: a fabric shelter for camping
    fishing rod: a long pole with a line for catching fish
    globe: a sphere with a map of the earth
    statue: a carved or cast figure
    trophy: a cup awarded to a winner
    """.strip().splitlines()
)
GLOSSES |= {name: definition for name, (definition, _) in HOUSEHOLD.items()}


def gloss(label: str) -> str:
    """The gloss of a label or, where it has none, of its last word; "" where there is neither."""
    words = _words(label)
    return GLOSSES.get(" ".join(words)) or GLOSSES.get(words[-1] if words else "", "")


def entry_of(label: str) -> str:
    """The entry that a label is another name for; "" where it is an entry itself, or none."""
    name = " ".join(_words(label))
    return "" if name in GLOSSES else ENTRY_OF.get(name, "")


def _words(label: str) -> list[str]:
    return label.lower().replace("_", " ").split()
