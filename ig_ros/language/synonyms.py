"""What else everyday things are called, and what one does with them: the words people ask for them with.

One line for every entry of the lexicon: `name: other names | to do something with`. The use completes "something ...".
Written from general knowledge, for whole households, not for a benchmark's phrases.
"""

from __future__ import annotations

from ig_ros.language.lexicon_food_and_tools import HOUSEHOLD

_LINES = """
    mug: coffee cup, teacup | to drink hot drinks from
    cup: coffee cup, teacup | to drink from
    glass: tumbler, drinking glass | to drink water from
    bowl: soup dish, salad bowl | to eat soup, salad or cereal from
    plate: dish, dinnerware, crockery | to serve and eat a meal on
    bottle: flask | to store and pour water, wine or other liquids
    ketchup bottle: tomato sauce, condiment | to put on fries, hot dogs and burgers
    mustard bottle: yellow condiment | to put on sausages and hot dogs
    can: tin | to keep food or drinks for a long time
    food can: tin, canned food, preserve | to be opened and cooked for a quick meal
    soda can: soft drink, lemonade, cola | to drink something cold and sweet
    cereal box: cornflakes, granola, muesli, breakfast food | to have breakfast with milk
    cracker box: crackers, biscuits, salty snack | to snack on
    box: carton, package, container | to pack and store things in
    book: novel, reading material, literature | to read a story
    magazine: journal, periodical | to read about news and fashion
    newspaper: daily paper, press | to read the news
    laptop: notebook computer, portable PC | to work, type and write e-mails on
    computer: PC, desktop machine | to work and calculate with
    monitor: computer screen, display | to look at a computer's picture
    keyboard: computer input device | to type text on
    mouse: computer input device, pointer | to click and move the cursor
    phone: mobile, smartphone, telephone | to call and text someone
    tablet: touch-screen device | to read and watch videos on
    television: TV, telly, TV screen | to watch films, shows and news on
    remote control: TV remote, clicker | to switch the channel from afar
    camera: photo camera | to take pictures with
    headphones: earphones, headset | to listen to music without disturbing others
    speaker: loudspeaker, sound box | to play music aloud
    radio: receiver | to listen to broadcasts
    calculator: adding machine | to do sums and arithmetic with
    printer: laser printer, copier | to put texts and pictures on paper
    microscope: magnifying instrument | to look at cells and tiny things
    banana: tropical fruit, curved yellow fruit | to peel and eat
    apple: round fruit, orchard fruit, healthy snack | to bite into, or to bake a pie with
    orange: citrus fruit | to press juice from
    lemon: sour citrus fruit | to flavour tea and fish with
    pear: sweet fruit | to eat fresh
    strawberry: berry, small red fruit | to eat with cream
    tomato: red vegetable | to make salad and sauce from
    carrot: orange vegetable, root | to eat raw or cooked
    bread: loaf, baked goods | to make sandwiches and toast from
    cake: pastry, dessert, birthday treat | to celebrate a birthday with
    egg: breakfast egg | to boil, fry or bake with
    cheese: dairy product | to put on bread or pizza
    milk carton: milk, dairy drink | to pour over cereal
    ball: round toy | to throw, catch and kick
    tennis ball: small bouncy ball, sports equipment | to play tennis with, to throw and catch
    soccer ball: football | to kick into a goal
    basketball: large bouncing ball | to throw through a hoop
    racket: tennis bat | to hit a ball with
    skateboard: board with wheels | to ride and do tricks on
    bicycle: bike, cycle | to ride to work
    helmet: hard hat, head protection | to protect the head when riding
    toy: plaything | for children to play with
    teddy bear: stuffed animal, plush toy | for a child to cuddle
    chess board: board game | to play chess on
    dice: gaming cubes | to roll in a game
    marker pen: felt-tip pen, writing tool | to write on a whiteboard and draw thick lines with
    marker: felt-tip pen, writing tool | to write on a whiteboard and draw thick lines with
    pen: ballpoint, writing tool | to write and sign with
    pencil: writing tool, crayon | to write and draw with
    paper: sheet, stationery | to write or print on
    notebook: notepad, exercise book | to write notes in
    ruler: measuring stick | to measure length and draw straight lines with
    stapler: office supply | to fasten papers together with
    adhesive tape: sticky tape, sellotape | to stick paper or close a parcel with
    glue: adhesive | to stick things together with
    envelope: letter cover | to send a letter in
    sponge: scrubber, cleaning pad | to wash dishes, wipe and soak up water with
    soap: cleanser | to wash hands with
    towel: bath cloth | to dry hands or the body with
    toothbrush: dental hygiene tool | to clean teeth with
    toothpaste: dental cream | to clean teeth with
    hairbrush: brush for hair | to brush hair with
    hair dryer: blow dryer | to dry wet hair with
    razor: shaver | to shave with
    toilet paper: bathroom tissue | to wipe oneself with
    tissue box: paper handkerchiefs, Kleenex | to blow the nose with
    trash can: waste bin, garbage can, dustbin | to throw rubbish into
    broom: besom, sweeper | to sweep the floor with
    vacuum cleaner: hoover | to clean carpets with
    bucket: pail | to carry water in
    detergent: washing powder, cleaning liquid | to do the laundry or the dishes with
    iron: clothes iron | to take creases out of shirts with
    washing machine: washer, laundry appliance | to wash clothes in
    desk lamp: reading light, table lamp | to light a desk when reading
    lamp: light, lighting | to light a room
    candle: wax light, taper | to burn for light and a cosy mood
    flashlight: torch | to see in the dark
    light bulb: lamp bulb | to be screwed into a lamp
    teapot: tea vessel, pot of tea | to brew and pour tea
    kettle: tea kettle, water boiler | to boil water in
    pitcher: jug, carafe | to pour lemonade, water or juice from
    coffee maker: coffee machine, espresso machine | to brew coffee with
    alarm clock: bedside clock, timepiece | to be woken up by in the morning
    clock: timepiece | to see what time it is
    watch: wristwatch, timepiece | to wear on the wrist and tell the time
    potted plant: houseplant, greenery | to be watered, to decorate a room with green
    flower: blossom, bloom | to give to someone as a gift
    vase: flower holder | to put a bunch of flowers in
    tree: woody plant | to give shade and wood
    table: dining table, desk | to put things on, to eat and work at
    desk: writing table, workplace | to work and study at
    chair: seat | to sit on
    stool: backless seat | to sit on at a bar
    sofa: couch, settee, lounge | to relax on with several people
    bench: long seat | to sit on in a park
    bed: place to sleep | to sleep and lie in
    pillow: head cushion | to rest the head on when sleeping
    cushion: soft pad | to sit or lean on softly
    blanket: bed cover, throw | to keep warm under
    mattress: bed pad | to sleep on
    shelf: rack, board | to put things on along a wall
    bookshelf: bookcase | to keep books in
    cabinet: cupboard | to store things behind doors
    drawer: chest drawer | to keep small things in
    wardrobe: closet | to hang clothes in
    dresser: chest of drawers | to keep clothes in
    mirror: looking glass | to see one's own face and reflection in
    picture: painting, photograph, artwork, framed print | to hang on a wall and look at
    curtain: drape, window covering | to keep the sun out
    carpet: rug, floor covering | to make a floor soft
    door: entrance, exit, way out, doorway | to enter or leave a room through
    window: pane, glazing | to look outside and let in light and air
    floor: ground | to walk on
    wall: partition | to bound and divide rooms
    ceiling: top of a room | to cover a room from above
    stairs: staircase, steps | to climb to another floor
    fireplace: hearth | to burn logs in
    radiator: heater, heating | to warm a room
    fan: ventilator, blower | to cool the air on a hot day
    refrigerator: fridge, freezer | to keep food and drinks cold in
    oven: baking oven | to bake bread and cakes in
    stove: cooker, hob | to cook on
    microwave: microwave oven | to warm up food quickly
    toaster: bread toaster | to toast slices of bread in
    blender: mixer, liquidiser | to mix drinks and purees
    dishwasher: dish washing machine | to clean dirty dishes in
    sink: washbasin, basin | to wash hands and dishes in
    faucet: tap, water tap | to let water run
    toilet: lavatory, loo | to relieve oneself on
    bathtub: bath, tub | to take a bath in
    shower: shower head | to wash oneself standing
    frying pan: skillet, cookware | to fry eggs and meat in
    pot: saucepan, cookware | to cook soup and pasta in
    knife: blade, cutlery | to cut and slice with
    fork: cutlery | to eat and spear food with
    spoon: cutlery, teaspoon | to stir coffee and eat soup with
    spatula: turner, kitchen utensil | to turn pancakes with
    cutting board: chopping board | to cut vegetables on
    chopsticks: Asian cutlery | to eat rice and noodles with
    corkscrew: bottle opener | to pull a cork out of a bottle with
    scissors: shears, cutting tool | to cut paper, cloth or hair with
    hammer: mallet, hand tool | to hit nails with
    screwdriver: turnscrew, hand tool | to tighten screws with
    wrench: spanner, hand tool | to tighten nuts and bolts with
    pliers: tongs, pincers, hand tool | to grip and bend wire with
    power drill: electric drill, power tool | to make holes in a wall with
    saw: handsaw, cutting tool | to cut wood with
    clamp: vice, screw clamp | to hold glued parts together with
    nail: metal pin | to be hammered into wood
    screw: bolt, fastener | to be turned into wood
    padlock: lock | to lock a bicycle or a gate with
    key: door key, bunch of keys | to lock and unlock a door with
    battery: electric cell, power source | to power a device with
    cable: cord, wire | to connect a device with
    power strip: multiple socket | to plug in several devices at once
    fire extinguisher: fire-fighting device | to put out a fire with
    toolbox: tool case | to keep tools in
    rope: cord, line | to tie and pull things with
    backpack: rucksack, knapsack, school bag | to carry things on the back in
    suitcase: luggage, baggage, trunk | to pack clothes for a journey in
    handbag: purse, lady's bag | to carry personal things in
    wallet: billfold, purse | to keep money and cards in
    purse: coin pouch | to keep coins in
    umbrella: parasol, brolly | to stay dry in the rain, for protection from rain and sun
    glasses: spectacles, eyewear | to see and read better with
    sunglasses: shades, dark eyewear | to protect eyes from the sun
    hat: cap, headgear | to wear on the head
    shoe: footwear, sneaker, boot | to wear on the feet
    sock: stocking | to keep feet warm
    shirt: blouse, top | to wear on the upper body
    trousers: pants, jeans | to wear on the legs
    jacket: coat | to wear when it is cold outside
    glove: mitten | to keep hands warm or safe
    tie: necktie | to wear with a suit
    guitar: string instrument | to play chords and songs on
    piano: keyboard instrument, grand piano | to play music on
    violin: fiddle, string instrument | to play in an orchestra
    drum: percussion instrument | to beat a rhythm on
    cat: kitten, pet | to stroke
    dog: puppy, pet | to go for a walk with
    bird: parrot, feathered animal | to hear singing
    fish: sea animal | to swim in water
    horse: pony, stallion | to ride on
    elephant: large wild animal with a trunk | to see in a zoo
    person: human, man or woman | to talk to
    baby: infant, newborn | to be fed and carried
    car: automobile, vehicle | to drive on a road
    bus: coach, public transport | to travel through a city in
    motorcycle: motorbike | to ride fast on a road
    airplane: aircraft, plane, jet | to fly in
    boat: ship, vessel | to cross a lake in
    gun: pistol, rifle, weapon | to shoot with
    medicine: pills, drug, tablets | to take when ill
    syringe: injection needle | to inject a medicine with
    thermometer: temperature gauge | to take one's temperature with
    wheelchair: chair with wheels | for people who cannot walk to move about in
    ladder: climbing steps | to climb up to a roof
    tent: camping shelter | to sleep outdoors in
    fishing rod: angling pole | to catch fish with
    globe: model of the earth | to find countries on
    statue: sculpture, figurine | to admire as art
    trophy: prize, award | to be won in a contest
"""


def _read(line: str) -> tuple[str, tuple[str, ...], str]:
    name, rest = line.split(": ", 1)
    others, use = rest.split(" | ")
    return name, tuple(other.strip() for other in others.split(",")), use


SYNONYMS: dict[str, tuple[str, ...]] = {}  # entry of the lexicon -> other names
USES: dict[str, str] = {}  # entry of the lexicon -> "to cut paper with"
_lines = [*_LINES.strip().splitlines(), *(f"{name}: {words}" for name, (_, words) in HOUSEHOLD.items())]
for _name, _others, _use in map(_read, (line.strip() for line in _lines)):
    SYNONYMS[_name], USES[_name] = _others, _use
ENTRY_OF: dict[str, str] = {}  # other name -> the first entry that has it
for _name, _others in SYNONYMS.items():
    for _other in _others:
        ENTRY_OF.setdefault(_other.lower(), _name)


def facets(name: str, gloss: str) -> tuple[str, ...]:
    """Everything that a query may say of an entry: its name, its definition, its other names, its use."""
    return name, f"{name}: {gloss}", *SYNONYMS[name], f"something {USES[name]}"
