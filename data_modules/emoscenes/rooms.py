"""Painted rooms and passages that one stands in. Names are EmoSet's."""

from math import cos, sin

from data_modules.emoscenes.brush import BRIGHT, WHITE, Brush, Colour, Passage, Point, mix


def bedroom(b: Brush) -> None:
    """A bed with headboard, pillows and blanket, a window and a lamp."""
    wall = b.near(b.pick(((190, 205, 225), (235, 215, 195), (205, 220, 195), (225, 200, 215))))
    floor = b.between(0.62, 0.68)
    b.gradient(wall, mix(wall, WHITE, 0.25), 0, floor)
    b.gradient(b.near((165, 120, 80)), b.near((125, 85, 55)), floor, 1)
    at = b.mirror()

    sky = b.pick(((150, 205, 245), (40, 50, 95), (245, 200, 160)))
    x = b.between(0.6, 0.68)
    b.rectangle(at(x - 0.02), 0.08, at(x + 0.28), 0.44, WHITE)
    b.rectangle(at(x), 0.1, at(x + 0.26), 0.42, sky)
    b.line([(at(x + 0.13), 0.1), (at(x + 0.13), 0.42)], WHITE, 0.02)
    b.line([(at(x), 0.26), (at(x + 0.26), 0.26)], WHITE, 0.02)
    curtain = b.near(b.pick(BRIGHT), 30)
    for edge in (x - 0.05, x + 0.24):
        b.rectangle(at(edge), 0.06, at(edge + 0.07), 0.5, mix(curtain, WHITE, 0.35))
    wood = b.near((120, 75, 45))
    head, foot, top = b.between(0.03, 0.08), b.between(0.82, 0.9), b.between(0.55, 0.6)
    b.rectangle(at(head), top - 0.2, at(head + 0.06), 0.95, wood)
    b.rectangle(at(foot), top + 0.02, at(foot + 0.05), 0.95, wood)
    b.rectangle(at(head + 0.06), top + 0.05, at(foot), 0.88, WHITE)
    b.rectangle(at(head + 0.06), 0.84, at(foot), 0.9, wood)
    blanket = b.near(b.pick(((70, 100, 180), (190, 60, 80), (80, 150, 120), (150, 110, 190))))
    turn = head + b.between(0.26, 0.32)
    b.polygon([(at(turn), top), (at(foot), top), (at(foot), 0.87), (at(turn), 0.87)], blanket)
    b.rectangle(at(turn), top, at(turn + 0.06), 0.87, mix(blanket, WHITE, 0.55))
    for stripe in range(b.count(0, 3)):
        sx = turn + 0.14 + 0.12 * stripe
        b.rectangle(at(sx), top, at(sx + 0.03), 0.87, mix(blanket, (20, 20, 40), 0.3))
    pillow = mix(WHITE, wall, 0.2)
    b.ellipse((at(head + 0.08) + at(turn)) / 2, top + 0.01, 0.11, 0.06, (205, 205, 215))
    b.ellipse((at(head + 0.08) + at(turn)) / 2, top - 0.005, 0.105, 0.052, pillow)
    lx = b.between(0.3, 0.45)
    b.rectangle(at(lx), 0.08, at(lx + 0.16), 0.22, wood)
    b.rectangle(at(lx + 0.02), 0.1, at(lx + 0.14), 0.2, b.near(b.pick(BRIGHT), 30))


def corridor(b: Brush) -> None:
    """A long passage in one-point perspective with doors and ceiling lamps."""
    wall = b.near(b.pick(((165, 180, 160), (190, 180, 155), (150, 165, 185))))
    passage = Passage(b.between(0.42, 0.58), b.between(0.42, 0.52), b.between(0.07, 0.1))
    dark: Colour = (20, 20, 24)
    floor = b.near(b.pick(((120, 110, 100), (95, 105, 115), (140, 95, 80))))
    surfaces: tuple[tuple[Colour, Point, Point], ...] = (
        (mix(wall, WHITE, 0.25), (0, 0), (1, 0)),
        (floor, (0, 1), (1, 1)),
        (wall, (0, 0), (0, 1)),
        (mix(wall, dark, 0.12), (1, 0), (1, 1)),
    )
    bands = 6
    for colour, first, second in surfaces:
        for band in range(bands):
            d0, d1 = band / bands, (band + 1) / bands
            b.polygon(passage.strip(first, second, d0, d1), mix(colour, dark, 0.75 * d0))
    b.rectangle(*passage.at(0, 0, 1), *passage.at(1, 1, 1), dark)
    door = b.near(b.pick(((110, 65, 45), (70, 90, 110), (60, 100, 85))))
    for side in (0, 1):
        for place in (0.06, 0.38, 0.7):
            start, stop = place + b.between(0, 0.04), place + 0.2
            leaf = passage.strip((side, 1), (side, 0.22), start, stop)
            b.polygon(leaf, mix(door, dark, 0.7 * place))
            knob = passage.at(side, 0.62, stop - 0.05)
            b.ellipse(*knob, 0.012 * (1.2 - place), 0.012 * (1.2 - place), (230, 200, 110))
    for place in (0.04, 0.3, 0.58, 0.84):
        lamp = passage.strip((0.4, 0), (0.6, 0), place, place + 0.1)
        b.polygon(lamp, mix((255, 252, 225), dark, 0.3 * place))
        corners = ((0.42, 0), (0.58, 0), (0.56, 0.1), (0.44, 0.1))
        gleam = [passage.at(u, 1, place + depth) for u, depth in corners]
        b.polygon(gleam, mix(floor, WHITE, 0.3 * (1 - place)))
    for side in (0, 1):
        b.line([passage.at(side, 1, 0), passage.at(side, 1, 1)], mix(wall, dark, 0.6), 0.014)


def catacomb(b: Brush) -> None:
    """A vault of brown stone with burial niches, torches and a black passage."""
    stone = b.near((125, 98, 68), 14)
    b.rectangle(0, 0, 1, 1, mix(stone, (20, 12, 8), 0.65))
    for row in range(11):
        y = row / 11
        for column in range(8):
            x = (column + 0.5 * (row % 2)) / 7.5 - 0.06
            shade = mix(b.near(stone, 12), (25, 16, 10), 0.35 + 0.25 * abs(y - 0.45))
            b.rectangle(x, y, x + 0.122, y + 0.08, shade)
    x, half, top = b.between(0.44, 0.56), b.between(0.15, 0.19), b.between(0.3, 0.36)
    edge, inside = mix(stone, WHITE, 0.25), mix(stone, (40, 25, 15), 0.3)
    for grow, colour in ((0.07, edge), (0.035, inside), (0, (10, 7, 6))):
        b.ellipse(x, top + half, half + grow, half + grow, colour)
        b.rectangle(x - half - grow, top + half, x + half + grow, 0.86, colour)
    for inner in (0.65, 0.4):
        r, y, colour = half * inner, top + half + 0.06, (48 - int(40 * inner), 26, 16)
        b.ellipse(x, y, r, r, colour)
        b.rectangle(x - r, y, x + r, 0.86, colour)
    bone = b.near((215, 200, 165), 12)
    for side in (-1, 1):
        for row in range(3):
            nx, ny = x + side * (half + 0.21), 0.2 + 0.23 * row
            b.ellipse(nx, ny + 0.03, 0.1, 0.07, (18, 11, 8))
            b.rectangle(nx - 0.1, ny + 0.03, nx + 0.1, ny + 0.11, (18, 11, 8))
            for _ in range(b.count(2, 4)):
                bx, by = nx + b.between(-0.06, 0.04), ny + b.between(0.07, 0.1)
                tip = (bx + b.between(0.03, 0.07), by - b.between(-0.01, 0.02))
                b.line([(bx, by), tip], bone, 0.016)
            if b.chance(0.6):
                b.ellipse(nx + b.between(-0.05, 0.05), ny + 0.06, 0.026, 0.028, bone)
        tx, ty = x + side * (half + 0.085), b.between(0.4, 0.46)
        glow = mix(stone, (255, 170, 60), 0.55)
        for r, colour in ((0.075, glow), (0.045, (250, 150, 40)), (0.025, (255, 235, 140))):
            b.ellipse(tx, ty, r * 0.8, r * 1.2, colour)
        b.line([(tx, ty + 0.05), (tx, ty + 0.15)], (60, 38, 22), 0.022)
    b.gradient(mix(stone, (25, 16, 10), 0.45), mix(stone, (15, 9, 6), 0.65), 0.85, 1)


def jail_cell(b: Brush) -> None:
    """Iron bars before a brick cell with a bunk and a small barred window."""
    brick = b.near(b.pick(((165, 165, 168), (180, 155, 135), (145, 160, 165))))
    b.rectangle(0, 0, 1, 1, mix(brick, (40, 40, 45), 0.3))
    for row in range(7):
        for column in range(5):
            x, y = (column + 0.5 * (row % 2)) / 4.5 - 0.1, row * 0.1
            b.rectangle(x, y, x + 0.205, y + 0.086, b.near(brick, 6))
    b.gradient(mix(brick, (50, 50, 55), 0.55), mix(brick, (30, 30, 35), 0.7), 0.7, 1)
    at = b.mirror()

    wx, wy = b.between(0.56, 0.66), b.between(0.12, 0.17)
    b.rectangle(at(wx - 0.02), wy - 0.02, at(wx + 0.24), wy + 0.2, (65, 65, 70))
    sky = b.pick(((165, 205, 235), (45, 55, 90), (235, 205, 150)))
    b.rectangle(at(wx), wy, at(wx + 0.22), wy + 0.18, sky)
    for i in (1, 2, 3):
        b.line([(at(wx + 0.055 * i), wy), (at(wx + 0.055 * i), wy + 0.18)], (45, 45, 50), 0.016)
    steel, blanket = (75, 80, 88), b.near(b.pick(((110, 120, 90), (90, 100, 130), (130, 105, 85))))
    for y in (0.45, 0.74) if b.chance(0.6) else (0.7,):
        b.rectangle(at(0.02), y, at(0.5), y + 0.06, blanket)
        b.ellipse(at(0.1), y, 0.075, 0.035, (215, 215, 215))
        b.rectangle(at(0.02), y + 0.06, at(0.5), y + 0.085, steel)
    for post in (0.03, 0.49):
        b.line([(at(post), 0.42), (at(post), 0.9)], steel, 0.02)
    bx = b.between(0.7, 0.78)
    b.rectangle(at(bx), 0.66, at(bx + 0.14), 0.76, (205, 210, 212))
    b.ellipse(at(bx + 0.07), 0.77, 0.085, 0.03, (225, 228, 230))
    b.rectangle(at(bx + 0.03), 0.78, at(bx + 0.11), 0.88, (190, 195, 198))
    iron, bars, shift = b.near((36, 38, 44), 8), b.count(5, 6), b.between(0, 0.16)
    for i in range(bars):
        x = (i + 0.2) / bars + shift / 2
        b.rectangle(x, 0, x + 0.045, 1, iron)
        b.rectangle(x + 0.01, 0, x + 0.018, 1, mix(iron, WHITE, 0.35))
    for y in (0.02, 0.94):
        b.rectangle(0, y, 1, y + 0.035, mix(iron, (0, 0, 0), 0.2))


def greenhouse(b: Brush) -> None:
    """A glass vault on iron ribs over beds of plants and a straight path."""
    sky = b.near((185, 225, 240), 12)
    b.gradient(sky, mix(sky, (225, 245, 225), 0.7), 0, 0.7)
    x, y = b.between(0.43, 0.57), b.between(0.5, 0.56)
    frame = b.near(b.pick(((95, 130, 120), (120, 135, 150), (70, 105, 95))))
    for rib in (0.16, 0.27, 0.42, 0.62):
        b.ring(x, y, rib, rib * 1.05, frame, 0.02 + 0.02 * rib)
    for i in range(9):
        angle = 3.1416 + 3.1416 * i / 8
        c, s = cos(angle), sin(angle)
        b.line([(x + 0.16 * c, y + 0.17 * s), (x + 1.1 * c, y + 1.15 * s)], frame, 0.016)
    b.rectangle(0, y, 1, 1, b.near((60, 95, 55)))
    leaf = (b.near((55, 145, 55)), b.near((90, 175, 70)), b.near((35, 110, 50)))
    b.ellipse(x, y, 0.16, 0.07, leaf[2])
    bottom = b.between(0.12, 0.2)
    b.trapezoid(x, y, 0.03, 1, bottom, b.near((215, 205, 185)))
    for step in range(7):
        t = (step + 0.5) / 7
        py = y + (0.97 - y) * t
        edge = 0.06 + (bottom + 0.03) * t
        r = 0.03 + 0.05 * t
        for side in (-1, 1):
            for place in range(4):
                px = x + side * (edge + r * (0.7 + 1.3 * place))
                b.ellipse(px, py - r * 0.4, r, r * 0.9, b.pick(leaf))
                if b.chance(0.35):
                    b.ellipse(px, py - r * 0.9, r * 0.4, r * 0.4, b.pick(BRIGHT))
    for side in (-1, 1):
        px, py = x + side * b.between(0.36, 0.45), b.between(0.5, 0.6)
        for blade in range(6):
            angle = 3.4 + blade * 0.5
            tip = (px + 0.18 * cos(angle), py - 0.06 + 0.18 * sin(angle))
            b.line([(px, py + 0.06), (px, py - 0.03), tip], b.pick(leaf), 0.026)
