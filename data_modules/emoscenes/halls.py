"""Painted halls and shops where many meet. Names are EmoSet's."""

from data_modules.emoscenes.brush import BRIGHT, WHITE, Brush, Colour, Passage, mix


def auditorium(b: Brush) -> None:
    """A dark hall with a bright screen and rows of seats seen from behind."""
    wall = b.near(b.pick(((45, 25, 40), (30, 30, 50), (50, 35, 25))), 8)
    b.gradient(wall, mix(wall, (10, 8, 12), 0.5), 0, 1)
    left, right = b.between(0.12, 0.17), b.between(0.83, 0.88)
    top, low = b.between(0.09, 0.13), b.between(0.5, 0.55)
    glow = b.near(b.pick(((190, 215, 245), (235, 225, 200), (150, 190, 235))))
    b.rectangle(left - 0.03, top - 0.03, right + 0.03, low + 0.03, (12, 10, 14))
    b.rectangle(left, top, right, low, glow)
    film = b.near(b.pick(((70, 110, 170), (190, 120, 70), (90, 140, 90))))
    hills = ((left, 0), (left, 0.12), (0.4, 0.22), (0.6, 0.1), (right, 0.18), (right, 0))
    b.polygon([(x, low - height) for x, height in hills], film)
    b.ellipse(b.between(0.3, 0.7), top + 0.12, 0.05, 0.05, mix(glow, (255, 250, 210), 0.8))
    for side in (0.05, 0.95):
        for r, colour in ((0.07, mix(wall, (250, 190, 90), 0.3)), (0.035, (250, 205, 120))):
            b.ellipse(side, 0.3, r * 0.7, r * 1.5, colour)
        b.rectangle(side - 0.03, 0.45, side + 0.03, 0.62, (15, 12, 16))
    floor = [(0, 0.75), (left, low + 0.08), (right, low + 0.08), (1, 0.75)]
    b.polygon(floor, mix(wall, glow, 0.25))
    seat = b.near(b.pick(((165, 25, 35), (150, 30, 60), (40, 55, 130))), 12)
    for y, columns, size in ((0.7, 6, 0.75), (0.84, 5, 0.95), (1.0, 4, 1.2)):
        shift = b.between(-0.03, 0.03)
        for i in range(-1, columns + 1):
            x = (i + 0.5) / columns + shift
            half = 0.41 / columns
            colour = mix(seat, (10, 5, 10), 0.35 * (1.2 - size) / 0.45)
            b.ellipse(x, y - 0.09 * size, half, 0.06 * size, mix(colour, WHITE, 0.22))
            b.ellipse(x, y - 0.08 * size, half, 0.06 * size, colour)
            b.rectangle(x - half, y - 0.08 * size, x + half, y + 0.1, colour)
            b.rectangle(x + half, y - 0.02, x + half + 0.18 / columns, y + 0.1, (20, 14, 18))


def boxing_ring(b: Brush) -> None:
    """Four ropes between a red and a blue corner post around a pale canvas, lamps above."""
    b.gradient((22, 22, 32), (55, 50, 62), 0, 0.55)
    for _ in range(45):
        b.ellipse(b.between(0, 1), b.between(0.2, 0.5), 0.022, 0.026, b.near((75, 65, 70), 20))
    for i in range(4):
        x = 0.14 + 0.24 * i
        b.trapezoid(x, 0.06, 0.04, 0.5, 0.13, (72, 70, 82))
        b.rectangle(x - 0.06, 0.02, x + 0.06, 0.065, (255, 250, 215))
    canvas = b.near(b.pick(((200, 215, 230), (225, 220, 205), (120, 165, 215))))
    back, near = b.between(0.52, 0.58), b.between(0.84, 0.9)
    inset = b.between(0.14, 0.18)
    b.polygon([(inset, back), (1 - inset, back), (1.02, near), (-0.02, near)], canvas)
    emblem = mix(canvas, b.pick(((200, 40, 40), (40, 70, 180))), 0.5)
    b.ellipse(0.5, (back + near) / 2, 0.2, 0.07, emblem)
    b.rectangle(0, near, 1, 1, b.near(b.pick(((30, 50, 130), (150, 25, 30), (35, 35, 45)))))
    b.line([(0, near), (1, near)], WHITE, 0.014)
    corners = ((215, 35, 40), (35, 80, 205))
    first, second = corners if b.chance(0.5) else corners[::-1]
    ropes: tuple[Colour, ...] = ((225, 40, 45), WHITE, (45, 90, 215), WHITE)
    tall = b.between(0.3, 0.36)
    for i, rope in enumerate(ropes):
        share = (i + 0.4) / 4
        y0, y1 = back - tall * 0.75 * (1 - share), near - tall * 1.2 * (1 - share)
        b.line([(inset, y0), (1 - inset, y0)], mix(rope, (0, 0, 0), 0.15), 0.02)
        b.line([(inset, y0), (-0.02, y1)], rope, 0.024)
        b.line([(1 - inset, y0), (1.02, y1)], rope, 0.024)
    for x, colour in ((inset, first), (1 - inset, second)):
        b.rectangle(x - 0.028, back - tall * 0.85, x + 0.028, back + 0.02, colour)
    for x, colour in ((0.03, second), (0.97, first)):
        b.rectangle(x - 0.045, near - tall * 1.25, x + 0.045, near + 0.03, colour)


def delicatessen(b: Brush) -> None:
    """Sausages and hams on hooks before white tiles, a glass counter with cheese below."""
    tile = b.near((238, 236, 226), 8)
    b.rectangle(0, 0, 1, 1, tile)
    grout, step = mix(tile, (120, 140, 150), 0.35), b.between(0.1, 0.13)
    for i in range(1, 10):
        b.line([(i * step, 0), (i * step, 0.7)], grout, 0.008)
        b.line([(0, i * step), (1, i * step)], grout, 0.008)
    rail, spots = b.between(0.16, 0.19), b.count(5, 6)
    b.line([(0, rail), (1, rail)], (95, 100, 110), 0.025)
    fat: Colour = (245, 215, 205)
    for i in range(spots):
        x, top = (i + 0.5) / spots + b.between(-0.02, 0.02), rail + 0.04
        b.line([(x, rail), (x, top + 0.03)], (95, 100, 110), 0.014)
        if b.chance(0.4):  # a string of sausages
            for link in range(4):
                b.ellipse(x, top + 0.05 + 0.09 * link, 0.034, 0.05, b.near((170, 75, 50), 8))
                b.ellipse(x - 0.01, top + 0.04 + 0.09 * link, 0.008, 0.024, (225, 150, 120))
        elif b.chance(0.5):  # a salami in its net
            b.ellipse(x, top + 0.18, 0.045, 0.16, b.near((140, 50, 45), 10))
            for knot in range(4):
                y = top + 0.09 + 0.06 * knot
                b.line([(x - 0.042, y), (x + 0.042, y)], fat, 0.01)
        else:  # a ham
            red = b.near((195, 70, 65), 12)
            b.rectangle(x - 0.018, top, x + 0.018, top + 0.1, fat)
            b.ellipse(x, top + 0.2, 0.075, 0.13, red)
            b.ellipse(x, top + 0.23, 0.05, 0.075, mix(red, fat, 0.5))
            b.ellipse(x, top + 0.24, 0.02, 0.025, fat)
    stripe, stripes = b.pick(((200, 45, 45), (50, 130, 70), (45, 85, 160))), b.count(7, 9)
    for i in range(stripes):
        colour = WHITE if i % 2 else stripe
        b.rectangle(i / stripes, 0, (i + 1) / stripes, 0.09, colour)
        b.ellipse((i + 0.5) / stripes, 0.09, 0.5 / stripes, 0.035, colour)
    counter = b.between(0.62, 0.66)
    b.rectangle(0, counter, 1, 0.9, (222, 236, 240))
    b.rectangle(0, counter, 1, counter + 0.03, (130, 140, 150))
    b.rectangle(0, 0.9, 1, 1, b.near(b.pick(((130, 75, 45), (165, 35, 40), (60, 100, 75)))))
    board = counter + 0.2
    b.line([(0, board + 0.02), (1, board + 0.02)], (150, 160, 165), 0.02)
    places = b.count(5, 6)
    for i in range(places):
        x, gold = (i + 0.5) / places, b.near((245, 200, 75), 12)
        if b.chance(0.55):  # a wedge of cheese
            b.polygon([(x - 0.075, board), (x + 0.075, board - 0.11), (x + 0.075, board)], gold)
            for hole in (-0.01, 0.03, 0.055):
                y = board - b.between(0.02, 0.05)
                b.ellipse(x + hole, y, 0.012, 0.012, mix(gold, (150, 90, 20), 0.5))
        elif b.chance(0.5):  # a wheel of cheese
            rind = b.pick(((205, 60, 45), (230, 160, 60), (240, 225, 180)))
            b.rectangle(x - 0.07, board - 0.07, x + 0.07, board, rind)
            b.ellipse(x, board - 0.07, 0.07, 0.025, mix(rind, WHITE, 0.35))
        else:  # cuts of meat
            for cut in (-0.045, 0, 0.045):
                b.ellipse(x + cut, board - 0.03, 0.035, 0.03, b.near((190, 60, 65), 10))
                b.ellipse(x + cut, board - 0.03, 0.015, 0.012, fat)
        b.rectangle(x - 0.02, board + 0.04, x + 0.03, board + 0.08, WHITE)


def ice_skating_rink(b: Brush) -> None:
    """Pale ice with red and blue lines inside white boards, skaters and a crowd."""
    b.gradient((45, 55, 85), (75, 85, 115), 0, 0.4)
    far = b.between(0.36, 0.42)
    for row in range(5):
        for seat in range(16):
            spot = ((seat + 0.5 * (row % 2)) / 16, 0.1 + (far - 0.16) * row / 5)
            if b.chance(0.7):
                b.ellipse(*spot, 0.02, 0.022, b.near(b.pick((*BRIGHT, (90, 90, 110))), 25))
    for i in range(5):
        b.rectangle(0.06 + 0.2 * i, 0.01, 0.16 + 0.2 * i, 0.045, (255, 252, 225))
    b.rectangle(0, far - 0.07, 1, far, WHITE)
    for i in range(6):
        b.rectangle(0.02 + i / 6, far - 0.055, 0.12 + i / 6, far - 0.02, b.pick(BRIGHT))
    b.rectangle(0, far - 0.012, 1, far + 0.012, (240, 200, 50))
    ice = b.near((215, 235, 247), 8)
    b.gradient(mix(ice, (140, 185, 225), 0.35), ice, far + 0.012, 1)
    x = b.between(0.42, 0.58)
    for place, colour in ((-0.42, (50, 95, 205)), (0, (215, 45, 55)), (0.42, (50, 95, 205))):
        b.line([(x + place * 0.75, far + 0.012), (x + place * 1.5, 1)], colour, 0.03)
    y = b.between(0.68, 0.74)
    b.ring(x, y, 0.25, 0.12, (215, 45, 55), 0.02)
    b.ellipse(x, y, 0.025, 0.015, (215, 45, 55))
    for _ in range(b.count(7, 11)):
        sx, sy = b.between(0, 0.9), b.between(far + 0.08, 0.97)
        bend = b.between(-0.05, 0.05)
        b.line([(sx, sy), (sx + 0.06, sy + bend), (sx + 0.14, sy + bend * 1.2)], WHITE, 0.012)
    for _ in range(b.count(3, 5)):
        px, py, size = b.between(0.05, 0.95), b.between(far + 0.1, 0.95), b.between(0.7, 1.1)
        coat, lean = b.pick(BRIGHT), b.between(-0.04, 0.04)
        b.line([(px, py - 0.09 * size), (px - 0.035 * size, py)], (40, 40, 60), 0.022)
        b.line([(px, py - 0.09 * size), (px + 0.05 * size, py - 0.01)], (40, 40, 60), 0.022)
        b.line([(px, py - 0.08 * size), (px + lean, py - 0.18 * size)], coat, 0.045)
        chest, arm = px + lean, 0.06 * size
        b.line([(chest - arm, py - 0.13 * size), (chest + arm, py - 0.16 * size)], coat, 0.02)
        b.ellipse(px + lean * 1.3, py - 0.21 * size, 0.026 * size, 0.028 * size, (240, 200, 170))


def stage(b: Brush) -> None:
    """Red curtains on both sides of a lit wooden floor, with spotlights."""
    b.gradient((25, 15, 35), (60, 30, 55), 0, 1)
    beam = b.pick(((255, 235, 150), (170, 200, 255), (255, 190, 220)))
    floor = b.between(0.7, 0.76)
    for _ in range(b.count(2, 4)):
        x, foot, half = b.between(0.25, 0.75), b.between(0.25, 0.75), b.between(0.09, 0.14)
        light = mix((50, 28, 55), beam, b.between(0.3, 0.5))
        cone = [(x - 0.015, 0.05), (x + 0.015, 0.05), (foot + half, floor), (foot - half, floor)]
        b.polygon(cone, light)
    wood = b.near((180, 125, 70))
    b.gradient(mix(wood, (60, 35, 25), 0.4), wood, floor, 0.93)
    for i in range(-3, 12):
        joint = [(0.5 + (i - 4.5) * 0.08, floor), (0.5 + (i - 4.5) * 0.16, 0.93)]
        b.line(joint, mix(wood, (60, 35, 25), 0.5), 0.008)
    for _ in range(b.count(1, 2)):
        b.ellipse(b.between(0.3, 0.7), floor + 0.1, 0.15, 0.05, mix(wood, beam, 0.65))
    b.rectangle(0, 0.93, 1, 1, (35, 20, 20))
    red = b.near(b.pick(((190, 25, 40), (165, 20, 45), (200, 40, 30))), 10)
    width = b.between(0.17, 0.24)
    folds = 5
    for side in (0, 1):
        for i in range(folds):
            x = width * i / folds
            colour = mix(red, (60, 5, 20), 0.55 * (i % 2))
            foot = x * b.between(0.75, 1.15)
            points = [(x, 0), (x + width / folds, 0), (foot + width / folds, 0.95), (foot, 0.95)]
            b.polygon([(1 - px if side else px, py) for px, py in points], colour)
    swags = b.count(4, 6)
    for i in range(swags):
        x = (i + 0.5) / swags
        b.ellipse(x, 0.05, 0.6 / swags, 0.12, mix(red, (60, 5, 20), 0.3))
        b.ellipse(x, 0.03, 0.55 / swags, 0.11, red)
        b.ring(x, 0.04, 0.55 / swags, 0.12, (235, 185, 70), 0.014)


def supermarket(b: Brush) -> None:
    """An aisle between shelves full of coloured goods, under bright lamps."""
    aisle = Passage(b.between(0.45, 0.55), b.between(0.4, 0.46), b.between(0.09, 0.12))
    ceiling, floor = b.near((225, 232, 238), 8), b.near((215, 208, 195), 10)
    b.gradient(ceiling, mix(ceiling, (140, 150, 165), 0.4), 0, aisle.y)
    b.gradient(mix(floor, (110, 110, 115), 0.4), floor, aisle.y, 1)
    for place in (0.0, 0.22, 0.5):
        for u in (0.22, 0.6):
            lamp = aisle.strip((u, 0), (u + 0.18, 0), place, place + 0.14)
            b.polygon(lamp, (255, 255, 245))
    joint = mix(floor, (120, 115, 110), 0.4)
    for place in (0.08, 0.25, 0.5):
        b.line([aisle.at(0, 1, place), aisle.at(1, 1, place)], joint, 0.01)
    b.rectangle(*aisle.at(0, 0.1, 1), *aisle.at(1, 1, 1), b.near((120, 130, 150)))
    frame = b.near(b.pick(((90, 95, 105), (150, 155, 165), (60, 90, 140))))
    sign = b.pick(((215, 40, 45), (40, 140, 70), (35, 95, 190), (240, 150, 30)))
    rows, slots = 4, b.count(6, 8)
    for side in (0, 1):
        b.polygon(aisle.strip((side, 1), (side, 0.1), 0, 1), frame)
        for row in range(rows):
            v0, v1 = 0.2 + 0.2 * row, 0.36 + 0.2 * row
            for slot in range(slots):
                d0, d1 = 0.95 * slot / slots, 0.95 * (slot + 0.85) / slots
                lift = b.between(0, 0.05)
                colour = mix(b.near(b.pick((*BRIGHT, WHITE)), 20), (60, 60, 70), 0.35 * d0)
                b.polygon(aisle.strip((side, v1), (side, v0 + lift), d0, d1), colour)
            b.line([aisle.at(side, v1 + 0.015, 0), aisle.at(side, v1 + 0.015, 1)], WHITE, 0.014)
        b.polygon(aisle.strip((side, 0.18), (side, 0.1), 0, 1), sign)
    x, half = aisle.x, b.between(0.11, 0.15)
    b.rectangle(x - half, 0.15, x + half, 0.24, sign)
    b.line([(x - half * 0.6, 0.195), (x + half * 0.6, 0.195)], WHITE, 0.024)
