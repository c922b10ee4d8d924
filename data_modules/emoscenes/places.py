"""Painted places under the open sky that people have made. Names are EmoSet's."""

from data_modules.emoscenes.brush import BRIGHT, WHITE, Brush, Colour, around, mix


def amusement_park(b: Brush) -> None:
    """A Ferris wheel with coloured gondolas, a striped tent and bunting."""
    sky = b.near(b.pick(((125, 200, 245), (170, 215, 250), (250, 205, 175))))
    b.gradient(sky, mix(sky, WHITE, 0.5), 0, 0.85)
    b.clouds(0.1, 0.35, WHITE, b.count(0, 2))
    b.gradient(b.near((150, 200, 110)), b.near((205, 190, 150)), 0.82, 1)
    left = b.chance(0.5)
    x = b.between(0.3, 0.4) if left else b.between(0.6, 0.7)
    y, r, frame = b.between(0.38, 0.46), b.between(0.28, 0.34), b.near((235, 60, 95), 20)
    for foot in (-0.2, 0.2):
        b.line([(x, y), (x + foot, 0.88)], (95, 100, 130), 0.025)
    turn, gondolas = b.between(0, 0.7), b.count(8, 10)
    rim = []
    for i in range(gondolas):
        angle = turn + 6.2832 * i / gondolas
        spoke = around(x, y, r, angle)
        rim.append(spoke)
        b.line([(x, y), spoke], WHITE, 0.012)
    b.ring(x, y, r, r, frame, 0.025)
    b.ring(x, y, r * 0.55, r * 0.55, frame, 0.015)
    for i, (gx, gy) in enumerate(rim):
        b.rectangle(gx - 0.035, gy, gx + 0.035, gy + 0.06, BRIGHT[i % len(BRIGHT)])
    b.ellipse(x, y, 0.035, 0.035, (250, 215, 50))
    tent = 1 - x + (0.08 if left else -0.08)
    half, peak = b.between(0.2, 0.26), b.between(0.42, 0.52)
    stripe = b.pick(((225, 45, 50), (40, 110, 210), (145, 75, 190)))
    for i in range(6):
        edges = [tent - half + half * i / 3, tent - half + half * (i + 1) / 3]
        colour = stripe if i % 2 else WHITE
        b.polygon([(tent, peak), (edges[1], 0.68), (edges[0], 0.68)], colour)
        b.rectangle(edges[0], 0.68, edges[1], 0.92, colour)
    b.line([(tent, peak), (tent, peak - 0.07)], (90, 90, 90), 0.012)
    flag = [(tent, peak - 0.08), (tent + 0.08, peak - 0.06), (tent, peak - 0.03)]
    b.polygon(flag, b.pick(BRIGHT))
    sag = b.between(0.03, 0.09)
    for i in range(10):
        fx = i / 9
        fy = 0.02 + sag * (1 - (2 * fx - 1) ** 2)
        b.polygon([(fx - 0.04, fy), (fx + 0.04, fy), (fx, fy + 0.08)], b.pick(BRIGHT))


def playground(b: Brush) -> None:
    """A slide with its ladder and a swing on a lawn, with a sand pit."""
    sky = b.near((150, 210, 250))
    b.gradient(sky, mix(sky, WHITE, 0.6), 0, 0.55)
    b.clouds(0.08, 0.25, WHITE, b.count(0, 2))
    b.blobs((0, 0.42, 1, 0.52), (0.07, 0.12), (b.near((60, 140, 60)), b.near((90, 165, 70))), 12)
    b.gradient(b.near((120, 195, 80)), b.near((85, 165, 60)), 0.52, 1)
    b.ellipse(b.between(0.3, 0.7), 0.88, 0.36, 0.1, b.near((235, 210, 150)))
    s = 1 if b.chance(0.5) else -1
    slide, steps = b.pick(((235, 60, 50), (250, 190, 30), (40, 130, 220))), b.pick(BRIGHT)
    x, top = 0.5 - s * b.between(0.3, 0.36), b.between(0.22, 0.32)
    for shift in (-0.04, 0.04):
        b.line([(x + shift, top - 0.04), (x + shift, 0.86)], steps, 0.022)
    for rung in range(6):
        y = top + 0.08 + rung * 0.09
        b.line([(x - 0.04, y), (x + 0.04, y)], steps, 0.018)
    b.polygon([(x - 0.09, top), (x, top - 0.13), (x + 0.09, top)], b.pick(BRIGHT))
    chute = [(x + s * 0.04, top + 0.1), (x + s * 0.3, 0.74), (x + s * 0.4, 0.8)]
    b.line(chute, mix(slide, (0, 0, 0), 0.25), 0.085)
    b.line(chute, slide, 0.06)
    frame, near, far = b.pick(BRIGHT), 0.5 + s * 0.06, 0.5 + s * 0.44
    beam = b.between(0.24, 0.32)
    b.line([(near, beam), (far, beam)], frame, 0.028)
    for post in (near, far):
        b.line([(post, beam), (post - 0.06, 0.78)], frame, 0.022)
        b.line([(post, beam), (post + 0.06, 0.78)], frame, 0.022)
    swing = b.between(-0.07, 0.07)
    for share in (0.35, 0.7):
        hang = near + (far - near) * share
        for rope in (-0.03, 0.03):
            b.line([(hang + rope, beam), (hang + rope + swing, 0.62)], (80, 80, 90), 0.01)
        b.rectangle(hang + swing - 0.045, 0.61, hang + swing + 0.045, 0.645, (120, 70, 40))


def bullring(b: Brush) -> None:
    """A round arena of yellow sand with a red fence, under tiers of spectators."""
    b.gradient((95, 165, 235), (170, 210, 245), 0, 0.2)
    stone = b.near((205, 165, 115))
    x, y = b.between(0.45, 0.55), b.between(0.64, 0.7)
    b.ellipse(x, y - 0.06, 0.85, 0.6, mix(stone, (120, 80, 55), 0.4))
    for i in range(12):
        arch = -0.05 + i * 0.1
        drop = 0.25 * (arch - x) ** 2
        b.rectangle(arch, 0.15 + drop, arch + 0.045, 0.23 + drop, (85, 50, 40))
    for tier in range(5):
        rx, ry = 0.8 - 0.05 * tier, 0.5 - 0.045 * tier
        b.ellipse(x, y - 0.03, rx, ry, mix(stone, (235, 205, 160), 0.2 * (tier % 2)))
        for _ in range(26):
            cx, cy = around(0, 0, 1, b.between(3.2, 6.2))
            spot = (x + rx * cx * 0.97, y - 0.03 + ry * cy * 0.95)
            b.ellipse(*spot, 0.014, 0.016, b.pick((*BRIGHT, WHITE)))
    b.ellipse(x, y, 0.56, 0.31, (120, 25, 25))
    b.ellipse(x, y + 0.035, 0.56, 0.31, b.near((190, 35, 35), 12))
    b.ellipse(x, y + 0.075, 0.54, 0.29, WHITE)
    sand = b.near((240, 200, 115))
    b.ellipse(x, y + 0.09, 0.54, 0.285, sand)
    b.ring(x, y + 0.1, 0.4, 0.19, (250, 240, 220), 0.014)
    b.rectangle(x - 0.05, y - 0.3, x + 0.05, y - 0.205, b.near((110, 40, 30)))
    b.gradient(mix(sand, (130, 80, 50), 0.5), mix(sand, (110, 60, 40), 0.6), 0.985, 1)


def industrial_area(b: Brush) -> None:
    """Factories with saw-tooth roofs and tall smoking chimneys in a dull sky."""
    sky = b.near(b.pick(((150, 150, 155), (190, 160, 125), (130, 140, 150))))
    b.gradient(sky, mix(sky, (230, 200, 160), 0.6), 0, 0.85)
    haze = mix(sky, (90, 90, 100), 0.35)
    for _ in range(5):
        x, top = b.between(0, 0.9), b.between(0.45, 0.6)
        b.rectangle(x, top, x + b.between(0.06, 0.2), 0.85, haze)
    smoke = b.near((95, 92, 95), 20)
    wind = b.between(-0.3, 0.3)
    for i in range(b.count(2, 4)):
        x = 0.12 + 0.24 * i + b.between(-0.05, 0.05)
        top, half = b.between(0.2, 0.38), b.between(0.03, 0.045)
        for step in range(7):
            up = step / 6
            r = 0.035 + 0.055 * up
            shade = mix(smoke, WHITE, b.between(0, 0.25))
            b.ellipse(x + wind * up, top - 0.03 - (top + 0.05) * up, r * 1.2, r, shade)
        b.trapezoid(x, top, half * 0.8, 0.85, half * 1.3, b.near((165, 90, 75)))
        for y, colour in ((top, (190, 40, 40)), (top + 0.1, WHITE)):
            b.rectangle(x - half * 0.85, y, x + half * 0.85, y + 0.045, colour)
    wall, base, teeth = b.near((120, 105, 100)), b.between(0.6, 0.66), b.count(3, 5)
    left, width = b.between(0, 0.25), b.between(0.55, 0.75)
    for i in range(teeth):
        x = left + width * i / teeth
        pitch = width / teeth
        b.polygon([(x, base), (x, base - 0.1), (x + pitch, base)], mix(wall, (60, 60, 70), 0.4))
        glass = x + pitch * 0.25
        pane = [(x, base), (x, base - 0.1), (glass, base - 0.07), (glass, base)]
        b.polygon(pane, (150, 185, 200))
    b.rectangle(left, base, left + width, 0.88, wall)
    for i in range(7):
        x = left + width * (i + 0.3) / 7
        b.rectangle(x, base + 0.05, x + 0.045, base + 0.12, b.pick(((235, 205, 110), (60, 65, 75))))
    tank = left + width + 0.1 if left + width < 0.85 else left - 0.08
    b.rectangle(tank - 0.11, 0.66, tank + 0.11, 0.88, b.near((170, 175, 180)))
    b.ellipse(tank, 0.66, 0.11, 0.035, b.near((205, 208, 210)))
    b.gradient(b.near((85, 80, 78)), (60, 56, 55), 0.86, 1)
    b.line([(0, 0.93), (1, 0.93)], (150, 140, 110), 0.014)


def landfill(b: Brush) -> None:
    """Heaps of mixed rubbish under a dirty sky, with gulls."""
    sky = b.near((190, 185, 155))
    b.gradient(sky, mix(sky, (225, 205, 160), 0.5), 0, 0.5)
    soil = b.near((120, 100, 75))
    b.ridge(0.5, 0.12, 4, mix(soil, sky, 0.4))
    peak = b.between(0.25, 0.75)
    height = b.between(0.24, 0.34)
    b.polygon([(-0.2, 1), (-0.2, 0.62), (peak, height), (1.2, 0.6), (1.2, 1)], soil)
    scraps: tuple[Colour, ...] = (
        (235, 235, 230), (60, 60, 65), (55, 110, 190), (200, 60, 50), (150, 130, 100),
        (90, 140, 90), (220, 190, 70), (140, 140, 145), (95, 70, 55), (170, 200, 215),
    )  # fmt: skip
    for i in range(90):
        x = b.between(-0.02, 1.02)
        surface = height + abs(x - peak) * 0.42
        y = surface + (1 - surface) * (i + b.rng.random()) / 90
        r = b.between(0.015, 0.035) + 0.025 * y
        turn, thin = b.between(0, 1.57), b.between(0.3, 0.9)
        corners = [around(x, y, r * (thin if k % 2 else 1), turn + 1.5708 * k) for k in range(4)]
        b.polygon(corners, b.pick(scraps))
    for _ in range(b.count(1, 3)):
        x, y, r = b.between(0.05, 0.95), b.between(0.75, 0.95), b.between(0.07, 0.1)
        b.ellipse(x, y, r, r * 0.85, (35, 35, 40))
        knot = [(x - 0.03, y - r * 1.15), (x + 0.03, y - r * 1.15), (x, y - r * 0.6)]
        b.polygon(knot, (35, 35, 40))
    for _ in range(b.count(3, 6)):
        x, y, r = b.between(0.05, 0.95), b.between(0.04, height), b.between(0.03, 0.05)
        b.line([(x - r, y - r * 0.5), (x, y), (x + r, y - r * 0.5)], (70, 70, 75), 0.014)


def cemetery(b: Brush) -> None:
    """Gravestones and crosses on dull grass, a bare tree against a grey sky."""
    sky = b.near(b.pick(((130, 135, 150), (160, 160, 165), (110, 105, 135))))
    horizon = b.between(0.42, 0.52)
    b.gradient(sky, mix(sky, (225, 220, 215), 0.6), 0, horizon)
    if b.chance(0.4):
        b.ellipse(b.between(0.15, 0.85), 0.13, 0.07, 0.07, (235, 232, 215))
    trunk, x = (50, 42, 42), (0.1 if b.chance(0.5) else 0.9) + b.between(-0.04, 0.04)
    b.trapezoid(x, horizon + 0.05, 0.035, 0.12, 0.012, trunk)
    for _ in range(8):
        y, way = b.between(0.14, 0.36), b.between(-0.24, 0.24)
        tip = (x + way, y - b.between(0.08, 0.16))
        b.line([(x, y), (x + way * 0.6, y - 0.06), tip], trunk, 0.014)
        b.line([(x + way * 0.6, y - 0.06), (x + way * 0.9, y - 0.02)], trunk, 0.01)
    for i in range(15):
        b.line([(i / 14, horizon - 0.07), (i / 14, horizon + 0.02)], (60, 60, 66), 0.01)
    b.line([(0, horizon - 0.04), (1, horizon - 0.04)], (60, 60, 66), 0.012)
    grass = b.near((85, 110, 75))
    b.gradient(grass, mix(grass, (50, 65, 50), 0.6), horizon, 1)
    rows = ((horizon + 0.12, 0.6, 6), (horizon + 0.28, 0.85, 5), (0.96, 1.15, 4))
    for row, (y, size, columns) in enumerate(rows):
        shift = b.between(-0.06, 0.06) + 0.08 * (row % 2)
        for i in range(columns):
            if b.chance(0.12):
                continue
            gx = (i + 0.5) / columns + shift + b.between(-0.02, 0.02)
            half, tall = 0.055 * size, b.between(0.13, 0.17) * size
            stone = b.near((165, 165, 170), 18)
            dark = mix(stone, (40, 40, 50), 0.5)
            b.ellipse(gx, y, half * 1.5, 0.02 * size, (60, 70, 50))
            if b.chance(0.3):
                b.rectangle(gx - half * 0.3, y - tall * 1.25, gx + half * 0.3, y, stone)
                b.rectangle(gx - half, y - tall * 0.95, gx + half, y - tall * 0.7, stone)
                continue
            b.ellipse(gx + 0.012, y - tall * 0.7, half, half, dark)
            b.rectangle(gx - half + 0.012, y - tall * 0.7, gx + half + 0.012, y, dark)
            b.ellipse(gx, y - tall * 0.7, half, half, stone)
            b.rectangle(gx - half, y - tall * 0.7, gx + half, y, stone)
            b.line([(gx, y - tall * 0.9), (gx, y - tall * 0.35)], dark, 0.012)
            bar = y - tall * 0.72
            b.line([(gx - half * 0.45, bar), (gx + half * 0.45, bar)], dark, 0.012)


def windmill(b: Brush) -> None:
    """A mill with four sails among rows of flowers or grain."""
    horizon = b.between(0.58, 0.66)
    sky = b.near(b.pick(((110, 185, 240), (165, 210, 245), (250, 190, 140))))
    b.gradient(sky, mix(sky, WHITE, 0.6), 0, horizon)
    b.clouds(0.08, 0.35, mix(sky, WHITE, 0.85), b.count(1, 3))
    b.blobs((0, horizon - 0.01, 1, horizon + 0.01), (0.04, 0.07), (b.near((75, 135, 70)),), 9, 0.5)
    grass = b.near((120, 180, 80))
    b.rectangle(0, horizon, 1, 1, grass)
    bloom, other = b.pick(BRIGHT), b.pick(BRIGHT)
    far = b.between(0.35, 0.65)
    for i in range(-7, 8):
        row = [(far + i * 0.07, horizon), (far + (i + 0.55) * 0.07, horizon)]
        b.polygon([*row, (far + (i + 0.55) * 0.24, 1), (far + i * 0.24, 1)], (bloom, other)[i % 2])
    x, hub = b.between(0.3, 0.7), b.between(0.27, 0.33)
    wall = b.near(b.pick(((150, 95, 70), (235, 230, 220), (120, 85, 65))))
    foot = horizon + 0.14
    b.ellipse(x, foot, 0.22, 0.035, mix(grass, (40, 70, 30), 0.4))
    b.trapezoid(x, hub, 0.085, foot, 0.145, wall)
    shaded = [(x + 0.02, hub), (x + 0.085, hub), (x + 0.145, foot), (x + 0.04, foot)]
    b.polygon(shaded, mix(wall, (30, 20, 20), 0.2))
    cap = mix(wall, (60, 30, 30), 0.6)
    b.ellipse(x, hub, 0.1, 0.085, cap)
    b.rectangle(x - 0.1, hub, x + 0.1, hub + 0.03, cap)
    b.rectangle(x - 0.03, foot - 0.1, x + 0.03, foot, (80, 50, 35))
    for wx, wy in ((-0.04, 0.12), (0.05, 0.2)):
        b.rectangle(x + wx - 0.02, hub + wy, x + wx + 0.02, hub + wy + 0.05, (60, 70, 85))
    turn, cloth = b.between(0, 1.57), b.near((245, 235, 215), 8)
    for i in range(4):
        angle = turn + 1.5708 * i
        sail = [around(x, hub, 0.09, angle), around(x, hub, 0.33, angle)]
        outer, inner = around(x, hub, 0.345, angle + 0.26), around(x, hub, 0.125, angle + 0.75)
        b.polygon([*sail, outer, inner], cloth)
        for share in (0.3, 0.65):
            first, second = (
                (p[0] + (q[0] - p[0]) * share, p[1] + (q[1] - p[1]) * share)
                for p, q in ((sail[0], sail[1]), (inner, outer))
            )
            b.line([first, second], (110, 75, 55), 0.01)
        b.line([(x, hub), sail[1]], (85, 55, 40), 0.024)
    b.ellipse(x, hub, 0.028, 0.028, (60, 40, 30))
