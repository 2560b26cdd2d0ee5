"""The nouns of the drawn world, in two tables.

Each line is a concept, which is what a noun stands for:

    name | art codes, each with its colour family | other words | kind | home places

The codes are Unicode's, and every artist draws some of them (see `artists.py`). The colour family
says which of OpenMoji's tones paint replaces; art without one cannot be painted. A star
marks the starter nouns, the world of a first five-minute training. The name `crane bird = crane`
means that captions call this concept "crane"; in this way two concepts can share one word. All
variants of a concept, such as the models of a car, are on one line. A backslash continues a line.

`TABLE` holds the common nouns, which are the default world. Its order is part of the data set:
another order would change every picture of every seed. `MORE` holds the others. It has families
to tell apart, such as balls, shoes and birds, and is where to add nouns.
"""

TABLE = """
* dog | 1F415:orange 1F429:grey | puppy, hound | animal
* cat | 1F408:orange | kitten, kitty | animal
rabbit | 1F407:black | bunny, hare | animal
fox | 1F98A | red fox | animal
bear | 1F43B:brown | grizzly | animal
panda | 1F43C | panda bear | animal
koala | 1F428 | | animal
tiger | 1F405 | | animal
lion | 1F981 | | animal
cow | 1F404 | cattle | animal
pig | 1F416 | hog, piglet | animal
sheep | 1F411 | lamb | animal
goat | 1F410 | | animal
camel | 1F42B | | animal
llama | 1F999 | | animal
* giraffe | 1F992 | | animal
* elephant | 1F418:grey | | animal
rhino | 1F98F | rhinoceros | animal
hippo | 1F99B | hippopotamus | animal
kangaroo | 1F998 | | animal
horse | 1F40E:brown | pony | animal
zebra | 1F993 | | animal
deer | 1F98C | stag | animal
monkey | 1F412 | | animal
gorilla | 1F98D | ape | animal
* frog | 1F438:green | toad | animal
crocodile | 1F40A | alligator | animal
* turtle | 1F422 | tortoise | animal
lizard | 1F98E | | animal
* snake | 1F40D:green | serpent | animal
dinosaur | 1F995:brown 1F996:green | | animal
dragon | 1F409:green | | animal
rooster = chicken | 1F413 | rooster, hen | animal | grass
turkey | 1F983 | | bird
duck | 1F986 | | bird
swan | 1F9A2 | | bird
* owl | 1F989 | | bird
flamingo | 1F9A9 | | bird
crane bird = crane | 1F9A9>crane | tall crane | bird | sea beach
peacock | 1F99A | | bird
parrot | 1F99C | | bird
* penguin | 1F427 | | bird
eagle | 1F985 | | bird
flying bat = bat | 1F987 | flying bat | animal | night forest
mouse animal = mouse | 1F401 | little mouse | animal | grass forest
seal animal = seal | 1F9AD | | animal | beach sea
* whale | 1F40B:blue | | animal
dolphin | 1F42C | | animal
* fish | 1F41F:blue 1F420 | | animal
shark | 1F988 | | animal
* octopus | 1F419:red | | animal
crab | 1F980:red | | animal
lobster | 1F99E | | animal
shrimp | 1F990 | prawn | animal
squid | 1F991 | | animal
snail | 1F40C | | animal
* butterfly | 1F98B:blue | | insect
caterpillar | 1F41B:green | | insect
ant | 1F41C | | insect
bee | 1F41D | bumblebee | insect
ladybug | 1F41E:red | ladybird | insect
* spider | 1F577 | | animal
scorpion | 1F982 | | animal
mosquito | 1F99F | | insect
hedgehog | 1F994 | | animal
squirrel | 1F43F | | animal
otter | 1F9A6 | | animal
sloth | 1F9A5 | | animal
beaver | 1F9AB | | animal
* car | 1F697:red 1F699:blue 1F3CE:red 1F695:yellow 1F693:grey 1F6FB:red 1F690:grey \
| automobile | vehicle
* bus | 1F68C:red | coach | vehicle
truck | 1F69A:white 1F69B:black | lorry | vehicle
* tractor | 1F69C:green | | vehicle
ambulance | 1F691 | | vehicle
fire engine | 1F692 | fire truck | vehicle
* bicycle | 1F6B2 | bike, cycle | vehicle
motorcycle | 1F3CD:red | motorbike | vehicle
scooter | 1F6F5:red | moped | vehicle
* train | 1F686 1F682 | | vehicle
* airplane | 2708 1F6E9:orange | plane, aeroplane | vehicle
helicopter | 1F681:red | chopper | vehicle
* rocket | 1F680:red | spaceship | vehicle
sailboat | 26F5 | sailing boat | vehicle | sea
canoe | 1F6F6:blue | kayak | vehicle
flying saucer | 1F6F8 | ufo | vehicle
* apple | 1F34E:red 1F34F:green | | fruit
pear | 1F350 | | fruit
orange fruit = orange | 1F34A | tangerine | fruit | room
lemon | 1F34B | | fruit
* banana | 1F34C | | fruit
watermelon | 1F349 | slice of melon | fruit
grapes | 1F347 | bunch of grapes | fruit
strawberry | 1F353 | | fruit
cherries | 1F352 | | fruit
peach | 1F351 | | fruit
* pineapple | 1F34D | | fruit
coconut | 1F965 | | fruit
tomato | 1F345 | | food
eggplant | 1F346 | aubergine | food
avocado | 1F951 | | food
broccoli | 1F966 | | food
* carrot | 1F955 | | food
corn | 1F33D | corn cob | food
chili | 1F336:red | chili pepper | food
cucumber | 1F952 | | food
* mushroom | 1F344:red | toadstool | plant
bread | 1F35E | loaf | food
cheese | 1F9C0 | | food
* pizza | 1F355 | slice of pizza | food
hamburger | 1F354 | burger | food
fries | 1F35F:red | chips, french fries | food
hot dog | 1F32D | sausage | food
egg | 1F95A | | food
cookie | 1F36A | biscuit | food
cake | 1F370 1F382 | birthday cake | food
donut | 1F369:yellow | doughnut | food
ice cream | 1F366 | | food
lollipop | 1F36D:red | candy | food
chicken leg = chicken | 1F357 | chicken leg, drumstick | food | room
* tree | 1F333 1F332:green | | plant
palm tree = palm | 1F334 | palm tree | plant | beach desert
palm of a hand = palm | 270B | open palm | hand | room
* cactus | 1F335:green | | plant
* flower | 1F337:orange 1F339:red 1F33B:yellow 1F33C:yellow 1F338:pink 1F33A:pink 1FAB7:pink \
1FABB:purple | blossom | plant
leaf | 1F343:green 1F341:orange | | plant
* umbrella | 2602:purple 2614:purple | parasol | thing
* balloon | 1F388:red | | toy
soccer ball | 26BD | football | toy
basketball | 1F3C0:orange | | toy
kite | 1FA81:pink | | toy
book | 1F4D5:red | | thing
chair | 1FA91:yellow | seat | furniture
bed | 1F6CF:blue | | furniture
couch | 1F6CB:blue | sofa | furniture
light bulb | 1F4A1 | bulb | thing
clock | 23F0 | alarm clock | thing
watch | 231A | wristwatch | thing
phone | 1F4F1 | cell phone, mobile | thing
laptop | 1F4BB | computer | thing
computer mouse = mouse | 1F5B1 | computer mouse | thing | room street
camera | 1F4F7 | | thing
television | 1F4FA | tv, screen | thing
* guitar | 1F3B8:red | | instrument
violin | 1F3BB | fiddle | instrument
drum | 1F941:red | | instrument
trumpet | 1F3BA | | instrument
* key | 1F511:orange | | thing
hammer | 1F528 | | tool
* scissors | 2702 | | tool
pencil | 270F:orange | crayon | tool
cup | 2615 | mug | thing
bottle | 1F37C:blue | baby bottle | thing
knife | 1F52A | | tool
spoon | 1F944 | | tool
* house | 1F3E0 | home, cottage | building
castle | 1F3F0 | | building
tent | 26FA:yellow | | building
hat | 1F452:yellow | | clothing
top hat | 1F3A9 | | clothing
shirt | 1F455:blue | | clothing
dress | 1F457:blue | gown | clothing
shoe | 1F45F:grey | sneaker | clothing
boot | 1F462:brown | | clothing
sock | 1F9E6:orange | | clothing
gloves | 1F9E4:red | mittens | clothing
scarf | 1F9E3:red | | clothing
handbag | 1F45C:brown | purse, bag | thing
backpack | 1F392:red | rucksack | thing
* crown | 1F451:yellow | | thing
ring | 1F48D | | thing
eyeglasses = glasses | 1F453 | spectacles | thing | room
wine glasses = glasses | 1F942 | wine glasses, two drinks | thing | beach night
gift | 1F381:yellow | present | thing
candle | 1F56F | | thing
bell | 1F514:yellow | | thing
trophy | 1F3C6 | cup | thing
teddy bear | 1F9F8:brown | teddy | toy
* robot | 1F916:grey | | toy
* snowman | 26C4 | | thing
broom | 1F9F9 | brush | tool
basket | 1F9FA | | thing
bucket | 1FAA3:blue | pail | thing
ladder | 1FA9C:brown | | tool
machine crane = crane | 1F3D7 | building crane | machine | street
hair bow = bow | 1F380:red | ribbon | clothing | room
archery bow = bow | 1F3F9 | bow and arrow | tool | forest grass
metal bolt = bolt | 1F529 | nut and bolt | thing | room
lightning bolt = bolt | 26A1:yellow | lightning bolt | thing | mountains sea
cricket bat = bat | 1F3CF | wooden bat, cricket bat | toy | grass
* anchor | 2693 | | thing
telescope | 1F52D | | thing
envelope | 2709:grey | letter | thing
flag | 1F6A9:red | | thing
traffic light | 1F6A6 | stoplight | thing
door | 1F6AA:brown | | furniture
mailbox | 1F4EB:blue | letter box | thing
toothbrush | 1FAA5 | | thing
bathtub | 1F6C1 | tub | furniture
toilet | 1F6BD | | furniture
heart | 2764:red | | shape
star | 2B50:yellow | | shape
ghost | 1F47B | | thing
dice | 1F3B2 | die | toy
pumpkin | 1F383 | jack-o'-lantern | food
nest | 1FABA | bird's nest | thing
axe | 1FA93 | hatchet | tool
saw | 1FA9A | | tool
skateboard | 1F6F9 | | toy
parachute | 1FA82:green | | thing
yo-yo | 1FA80:purple | | toy
fan | 1FAAD:red | | thing
"""

MORE = """
wolf | 1F43A | | animal | forest snow
raccoon | 1F99D | | animal | forest
leopard | 1F406 | | animal
orangutan | 1F9A7 | | animal
moose | 1FACE | elk | animal | forest
donkey | 1FACF | mule | animal
unicorn | 1F984 | | animal
bison | 1F9AC | buffalo | animal
ox | 1F402 | bull | animal
mammoth | 1F9A3 | woolly mammoth | animal | snow
hamster | 1F439 | | animal
badger | 1F9A1 | | animal
blowfish | 1F421 | pufferfish | animal | sea
jellyfish | 1FABC:purple | | animal | sea
oyster | 1F9AA | | animal | beach sea
beetle | 1FAB2:green | | insect
grasshopper | 1F997 | locust | insect | grass
fly | 1FAB0 | housefly | insect
chick | 1F424 1F423 | baby chick | bird
goose | 1FABF | | bird
dove | 1F54A | pigeon | bird
dodo | 1F9A4 | | bird
songbird | 1F426:brown | | bird
feather | 1FAB6:purple | plume | thing
seashell | 1F41A:pink | shell | thing | beach
coral | 1FAB8:red | | thing | sea
cobweb | 1F578 | spider web | thing
bouquet | 1F490 | bunch of flowers | plant
houseplant | 1FAB4 | potted plant | plant | room
clover | 1F340 2618 | shamrock | plant | grass
christmas tree | 1F384 | | plant | room snow
rock | 1FAA8 | stone, boulder | thing
melon | 1F348 | honeydew | fruit
mango | 1F96D | | fruit
blueberries | 1FAD0 | | fruit
kiwi | 1F95D | | fruit
potato | 1F954 | | food
bell pepper | 1FAD1:red | sweet pepper | food
lettuce | 1F96C | | food
garlic | 1F9C4 | | food
onion | 1F9C5 | | food
peanut | 1F95C | | food
croissant | 1F950 | | food
baguette | 1F956 | french bread | food
pretzel | 1F968 | | food
pancakes | 1F95E | stack of pancakes | food
waffle | 1F9C7 | | food
bacon | 1F953 | | food
sandwich | 1F96A | | food
taco | 1F32E | | food
frying pan | 1F373 | fried egg | food
salad | 1F957 | | food
popcorn | 1F37F:red | | food
sushi | 1F363 | | food
spaghetti | 1F35D | pasta | food
cupcake | 1F9C1:pink | muffin | food
pie | 1F967 | | food
chocolate bar | 1F36B | | food
honey pot | 1F36F | pot of honey | food
sundae | 1F368 | bowl of ice cream | food
teapot | 1FAD6:grey | | thing
beer | 1F37A | mug of beer | drink
glass of wine | 1F377 | | drink
cocktail | 1F378 1F379 | | drink
juice box | 1F9C3 | carton of juice | drink
ice cube | 1F9CA | block of ice | thing
vase | 1F3FA:orange | | thing
globe | 1F30D 1F30E | | thing
compass | 1F9ED | | tool
volcano | 1F30B | | thing
temple | 1F3DB | | building
hut | 1F6D6 | | building
hospital | 1F3E5 | | building | street
factory | 1F3ED | | building
church | 26EA | chapel | building
mosque | 1F54C | | building
fountain | 26F2 | | thing
ferris wheel | 1F3A1 | big wheel | machine
roller coaster | 1F3A2 | | machine
circus tent | 1F3AA:red | big top | building
kick scooter | 1F6F4 | | vehicle | street
wheelchair | 1F9BD | | vehicle
speedboat | 1F6A4 | motorboat | vehicle | sea
ship | 1F6A2 1F6F3 | ocean liner | vehicle | sea
cable car | 1F6A1 1F6A0 | | vehicle | mountains
gas pump | 26FD | petrol pump | machine | street
siren | 1F6A8:red | | thing
stop sign | 1F6D1 | | thing | street
suitcase | 1F9F3:brown | | thing
moon | 1F319 | crescent moon | thing | night
sun | 2600 1F31E | | thing
planet | 1FA90:red | | thing | night
cloud | 2601 | | thing
tornado | 1F32A | whirlwind | thing
rainbow | 1F308 | | thing
snowflake | 2744 | | thing | snow
fire | 1F525 | flame | thing
baseball | 26BE | | ball
softball | 1F94E | | ball
volleyball | 1F3D0:grey | | ball | beach
american football | 1F3C8 | | ball
rugby ball | 1F3C9:orange | | ball | grass
bowling ball | 1F3B3 | | ball
pool ball | 1F3B1 | billiard ball | ball | room
crystal ball | 1F52E:purple | | ball
disco ball | 1FAA9 | mirror ball | ball
hockey stick | 1F3D2 1F3D1 | | toy
ping pong paddle | 1F3D3:red | table tennis bat | toy
badminton racket | 1F3F8 | | toy
boxing glove | 1F94A:red | | clothing
skis | 1F3BF:yellow | | thing | snow mountains
sled | 1F6F7:blue | sledge | vehicle | snow
dartboard | 1F3AF | bullseye | toy
game controller | 1F3AE:grey | gamepad | toy | room
puzzle piece | 1F9E9:blue | jigsaw piece | toy
boomerang | 1FA83:brown | | toy
medal | 1F3C5 | | thing
sandal | 1F461:brown | | shoe
flip-flop | 1FA74:yellow | | shoe | beach
leather shoe | 1F45E:brown | | shoe
hiking boot | 1F97E:brown | | shoe | mountains
flat shoe | 1F97F:pink | | shoe
high heel | 1F460:red | stiletto | shoe
ice skate | 26F8:blue | | shoe
roller skate | 1F6FC:blue | | shoe
sunglasses | 1F576 | dark glasses | clothing
necktie | 1F454 | tie | clothing
jeans | 1F456:blue | trousers | clothing
kimono | 1F458:pink | | clothing
swimsuit | 1FA71:purple | bathing suit | clothing
graduation cap | 1F393 | | clothing
cap | 1F9E2:green | baseball cap | clothing
army helmet | 1FA96 | | clothing
hard hat | 26D1:red | rescue helmet | clothing
diamond | 1F48E:blue | gem, jewel | thing
saxophone | 1F3B7 | | instrument
accordion | 1FA97 | | instrument
piano | 1F3B9 | | instrument
banjo | 1FA95 | | instrument
maracas | 1FA87 | | instrument
flute | 1FA88 | | instrument
horn | 1F4EF | post horn | instrument
microphone | 1F3A4 1F399 | | thing
headphones | 1F3A7 | | thing
radio | 1F4FB:grey | | thing
telephone | 260E:red | | thing
magnifying glass | 1F50D | magnifier | tool
flashlight | 1F526 | torch | tool
calendar | 1F4C5 | | thing
paper clip | 1F4CE | | thing
padlock | 1F512:yellow 1F513:yellow | lock | thing
paintbrush | 1F58C:blue | | tool
pen | 1F58A | ballpoint | tool
briefcase | 1F4BC:brown | | thing
coin | 1FA99 | | thing
package | 1F4E6 | parcel, cardboard box | thing
wrench | 1F527 | spanner | tool
screwdriver | 1FA9B:orange | | tool
shield | 1F6E1:red | | thing
magnet | 1F9F2:red | | tool
microscope | 1F52C | | tool
hourglass | 231B | | tool
mirror | 1FA9E | looking glass | furniture
fire extinguisher | 1F9EF | | tool
shopping cart | 1F6D2 | trolley | thing
baby | 1F476 | infant | person
police officer | 1F46E | policeman | person | street
detective | 1F575 | | person
builder | 1F477 | construction worker | person
princess | 1F478 | | person
santa | 1F385 | | person | snow
clown | 1F921 | | person
ninja | 1F977 | | person
wizard | 1F9D9 | mage | person
alien | 1F47D | | thing
skull | 1F480 | | thing
"""
