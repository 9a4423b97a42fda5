"""More of the lexicon: food, kitchen, office, workshop, garden, clothes, and the classes of common detectors.

Two lines for every entry: `name: definition`, then `other names | to do something with`.
"""

from __future__ import annotations

ENTRIES = """
    traffic light: a coloured signal that regulates traffic at a crossing
        stoplight, traffic signal | to tell cars when to stop and go
    fire hydrant: a street outlet from which firefighters take water
        hydrant | to connect a fire hose to
    stop sign: a red road sign at which cars must stop
        road sign | to make drivers stop
    parking meter: a post at which parking is paid
        ticket machine | to pay for parking
    train: rail cars pulled by a locomotive
        railway, locomotive | to travel by rail
    truck: a large road vehicle for goods
        lorry, pickup | to haul heavy loads
    sheep: a farm animal with wool
        lamb, ewe | to shear for wool
    cow: a farm animal that gives milk
        cattle, bull | to milk
    bear: a large furry wild animal
        grizzly | to meet in the woods
    zebra: a striped animal like a horse
        striped horse | to see on a safari
    giraffe: a wild animal with a very long neck
        long-necked animal | to see on a safari
    frisbee: a plastic disc that flies when thrown
        flying disc | to throw and catch in a park
    skis: two long boards for gliding over snow
        ski pair | to slide down a snowy slope on
    snowboard: a board for riding down snow
        snow board | to ride down a snowy slope on
    kite: a light frame with cloth that flies on a string
        stunt kite | to fly in the wind
    baseball bat: a wooden club for hitting a baseball
        club | to hit a ball in baseball
    surfboard: a long board for riding waves
        surf board | to ride waves on
    sandwich: slices of bread with a filling
        panini, sub, burger | to eat for lunch
    broccoli: a green vegetable with a head like a tree
        green vegetable | to steam as a side dish
    hot dog: a sausage in a bun
        frankfurter, sausage roll | to eat at a ball game
    pizza: a flat baked dough with tomato and cheese
        Italian pie | to order for dinner
    donut: a sweet fried ring of dough
        doughnut, pastry | to eat with coffee
    cookie: a small flat sweet baked thing
        biscuit | to nibble with tea
    chocolate: a sweet brown bar made of cocoa
        candy bar, sweets | to treat oneself to
    chips: thin fried slices of potato in a bag
        crisps, potato snack | to snack on while watching a film
    yogurt: a thick sour milk product in a cup
        yoghurt, dairy dessert | to eat with fruit
    butter: a solid yellow fat made of cream
        margarine, spread | to put on bread
    jam: a sweet fruit spread in a jar
        marmalade, jelly | to put on toast
    honey: a sweet sticky food made by bees
        bee product | to sweeten tea with
    juice: a drink pressed from fruit
        fruit drink, orange juice | to drink at breakfast
    beer: an alcoholic drink brewed from malt
        ale, lager | to drink in a pub
    wine bottle: a glass bottle of red or white wine
        bottle of wine | to open for a festive dinner
    water bottle: a bottle of drinking water
        drinking bottle, canteen | to drink from when hiking
    thermos: an insulated bottle that keeps drinks hot
        vacuum flask | to keep coffee hot on the way
    jar: a wide glass container with a lid
        mason jar, pot with a lid | to keep jam or pickles in
    grapes: small round fruits in a bunch
        bunch of grapes | to make wine from
    pineapple: a large tropical fruit with spiny leaves
        tropical fruit | to put on pizza or in fruit salad
    peach: a soft round fruit with a stone
        nectarine | to eat in summer
    potato: a brown tuber that is cooked
        spud | to make fries and mash from
    onion: a pungent bulb in layers
        shallot | to chop and fry, that makes one cry
    cucumber: a long green watery vegetable
        gherkin | to slice into a salad
    mushroom: an edible fungus with a cap
        fungus | to pick in a forest
    garlic: a strongly smelling bulb of cloves
        clove of garlic | to season food strongly with
    rice: small white grains that are boiled
        grain | to eat with curry
    pasta: dough shapes that are boiled
        spaghetti, noodles, macaroni | to cook and eat with tomato sauce
    salt: white crystals that season food
        table salt | to season food with
    pepper mill: a grinder for peppercorns
        pepper grinder, pepper shaker | to season food with hot spice
    sugar: sweet white crystals
        sweetener | to sweeten coffee with
    oil bottle: a bottle of cooking oil
        olive oil, vegetable oil | to fry food in
    tray: a flat board with a rim for carrying things
        serving tray | to carry cups and plates on
    napkin: a piece of cloth or paper for the mouth
        serviette | to wipe the mouth with when eating
    paper towel: a roll of absorbent kitchen paper
        kitchen roll | to wipe up a spill with
    measuring cup: a jug with marks for amounts
        measuring jug | to measure flour or milk with
    whisk: a wire tool for beating
        egg beater | to whip cream or eggs with
    grater: a metal plate with sharp holes
        shredder | to shred cheese with
    peeler: a small blade for skins
        potato peeler | to take the skin off vegetables
    can opener: a tool that cuts tins open
        tin opener | to open tins with
    tongs: two joined arms for gripping food
        grill tongs | to turn meat on a grill with
    apron: a cloth worn in front when cooking
        pinafore | to keep clothes clean when cooking
    dish rack: a frame in which washed dishes dry
        drying rack, dish drainer | to let plates dry in
    range hood: a fan above a stove
        extractor hood, cooker hood | to suck up cooking fumes
    freezer: a very cold appliance for frozen food
        deep freeze | to keep ice cream in
    water cooler: a machine that gives cold drinking water
        water dispenser | to fill a cup with cold water at
    mop: a long-handled tool with wet cloth strips
        floor mop | to wipe the floor wet with
    dustpan: a small shovel for swept dirt
        dust pan | to pick up swept dirt with
    trash bag: a plastic sack for garbage
        bin bag | to put garbage in
    clothes hanger: a shaped hook for garments
        coat hanger | to hang a shirt on
    ironing board: a padded board on legs for ironing
        ironing table | to iron shirts on
    doormat: a mat before a door
        welcome mat | to wipe shoes on
    coat rack: a stand with hooks for coats
        coat stand, hat stand | to hang a coat on
    shoe rack: a shelf for shoes
        shoe shelf | to put shoes on
    nightstand: a small table beside a bed
        bedside table, night table | to put an alarm clock on
    coffee table: a low table before a sofa
        low table | to put magazines on in a living room
    shower curtain: a waterproof cloth around a shower
        bath curtain | to keep water in the shower
    bath mat: a mat on a bathroom floor
        shower mat | to step on with wet feet
    plunger: a rubber cup on a stick
        suction cup | to unclog a drain with
    projector: a device that throws pictures on a screen
        beamer | to show slides with
    router: a box that connects devices to the internet
        wifi box, modem | to get wireless internet from
    charger: a device that fills batteries
        power adapter, power supply | to charge a phone with
    usb stick: a small plug that stores files
        flash drive, thumb drive | to carry files on
    hard drive: a box that stores data
        disk, external drive | to back up files on
    paper clip: a bent wire that holds sheets
        clip | to hold a few sheets together with
    binder: a stiff cover that holds punched pages
        ring binder | to file papers in
    folder: a folded cover for papers
        file | to keep loose papers in
    clipboard: a board with a clip for paper
        writing board | to write on while standing
    sticky notes: small papers with a sticky edge
        post-it | to stick reminders on a wall with
    highlighter: a pen with bright transparent ink
        text marker | to mark important words with
    eraser: a piece of rubber for pencil marks
        rubber | to remove pencil marks with
    tripod: a three-legged stand for a camera
        camera stand | to hold a camera still
    chisel: a tool with a sharp end for carving
        carving tool | to carve wood or stone with
    sandpaper: paper with a rough surface
        abrasive paper | to smooth wood with
    level: a bar with a bubble in a tube
        spirit level | to check that a shelf is horizontal
    paint can: a tin of wall paint
        paint bucket | to paint a wall from
    paintbrush: bristles on a handle for paint
        brush | to paint a picture with
    first aid kit: a box of bandages and plasters
        medical kit | to treat a wound with
    smoke detector: a ceiling device that warns of fire
        fire alarm | to be warned of smoke by
    light switch: a wall switch for a lamp
        switch | to turn the light on and off
    power outlet: a wall socket for electricity
        wall socket, plug socket | to plug a device into
    thermostat: a control for heating
        heating control | to set the room's temperature
    lock: a device that keeps a door shut
        door lock | to keep burglars out
    microphone: a device that picks up sound
        mike | to sing or speak into
    record player: a device that plays vinyl
        turntable | to play old records on
    playing cards: a pack of cards for games
        deck of cards | to play poker with
    puzzle: a picture cut into pieces
        jigsaw | to put together piece by piece
    building blocks: toy bricks
        Lego, toy bricks | for a child to build towers from
    doll: a toy in the shape of a person
        puppet | for a child to dress and play with
    toy car: a small model of a car
        model car | for a child to race with
    balloon: a thin rubber bag filled with air
        party balloon | to decorate a party with
    treadmill: an exercise machine with a moving belt
        running machine | to run indoors on
    golf club: a long-handled stick for golf
        golf iron | to hit a golf ball with
    jump rope: a rope to leap over
        skipping rope | to skip with
    boxing glove: a padded glove for fights
        boxer's glove | to punch with
    crib: a small bed with bars for a baby
        cot, cradle | for a baby to sleep in
    high chair: a tall chair for a small child
        baby chair | to feed a toddler in
    rocking chair: a chair on curved runners
        rocker | to swing to and fro in
    ottoman: a padded footstool
        footrest, pouf | to put the feet up on
    hammock: a hanging bed of cloth or net
        hanging bed | to lie in between two trees
    chandelier: a branched hanging lamp
        ceiling light | to light a hall festively
    blinds: slats that cover a window
        shutter, roller blind | to darken a window with
    bulletin board: a wall board for notes
        pin board, notice board | to pin notes on
    stroller: a pushed cart for a small child
        pram, pushchair, baby carriage | to push a baby around in
    crutch: a stick to lean on when walking
        walking aid | to walk with a broken leg
    scarf: a long cloth around the neck
        shawl | to keep the neck warm
    belt: a strap around the waist
        waistband | to hold trousers up
    dress: a one-piece garment for women
        gown | to wear at a party
    skirt: a garment that hangs from the waist
        kilt | to wear below a blouse
    sweater: a warm knitted garment
        pullover, jumper | to keep warm in winter
    slippers: soft shoes for indoors
        house shoes | to wear at home on the feet
    ring: a band worn on a finger
        wedding ring | to propose marriage with
    necklace: a chain worn around the neck
        jewellery | to adorn the neck
    lipstick: a stick that colours lips
        make-up, cosmetics | to paint the lips with
    perfume: a scented liquid
        fragrance, cologne | to smell nice with
    basket: a woven container
        wicker basket | to carry fruit or a picnic in
    crate: a strong slatted box
        wooden case | to transport bottles in
    cardboard box: a brown paper box for moving
        carton, parcel, package | to ship things in
    barrel: a large round container
        drum, cask | to store oil or wine in
    pallet: a wooden platform for goods
        skid | to move with a forklift
    forklift: a vehicle that lifts pallets
        lift truck | to lift heavy pallets with
    traffic cone: an orange cone on a road
        pylon | to close off a lane with
    lawn mower: a machine that cuts grass
        grass cutter | to mow the lawn with
    rake: a long-handled tool with teeth
        leaf rake | to gather leaves with
    watering can: a can with a spout for plants
        sprinkler can | to water plants with
    flower pot: a pot of clay for a plant
        planter | to grow a plant in
    hose: a flexible tube for water
        garden hose | to spray the garden with
    mailbox: a box in which letters arrive
        letter box, post box | to put letters in
    bookend: a support that keeps books upright
        book support | to keep books from falling over
    photo frame: a border around a photograph
        picture frame | to put a family photograph in
    piggy bank: a small box for coins
        money box | to save coins in
    matches: small sticks that catch fire
        matchbox | to light a candle with
    lighter: a small device with a flame
        cigarette lighter | to light a fire with
    ashtray: a dish for cigarette ash
        ash dish | to stub out a cigarette in
"""


def read_entries(text: str) -> dict[str, tuple[str, str]]:
    """Name -> (definition, other names and use)."""
    lines = [line.strip() for line in text.strip().splitlines()]
    entries: dict[str, tuple[str, str]] = {}
    for first, second in zip(lines[::2], lines[1::2], strict=True):
        name, definition = first.split(": ", 1)
        entries[name] = definition, second
    return entries


HOUSEHOLD = read_entries(ENTRIES)
