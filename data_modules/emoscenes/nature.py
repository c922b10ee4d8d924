"""Painted scenes of nature: mountains, waters, fire. Names are EmoSet's."""

from data_modules.emoscenes.brush import BRIGHT, WHITE, Brush, Colour, mix


def mountain_snowy(b: Brush) -> None:
    """Grey peaks with white caps above a field of snow and dark firs."""
    horizon = b.between(0.6, 0.75)
    sky = b.near(b.pick(((90, 150, 225), (130, 175, 230), (235, 165, 150), (120, 130, 175))))
    b.gradient(sky, mix(sky, WHITE, 0.6), 0, horizon)
    b.ridge(horizon - 0.12, 0.2, 7, mix(sky, (120, 130, 160), 0.6))
    rock, shade = b.near((100, 100, 115), 14), b.near((70, 72, 90), 10)
    peaks = [(b.between(0.1, 0.4), b.between(0.1, 0.25))]
    peaks.append((b.between(0.6, 0.9), b.between(0.15, 0.3)))
    if b.chance(0.5):
        peaks.insert(0, (b.between(0.4, 0.6), b.between(0.25, 0.35)))
    for x, y in peaks:
        half = (horizon - y) * b.between(0.65, 0.85)
        b.polygon([(x, y), (x + half, horizon), (x - half, horizon)], rock)
        b.polygon([(x, y), (x + half, horizon), (x + half * 0.1, horizon)], shade)
        slope, cap = half / (horizon - y), (horizon - y) * b.between(0.4, 0.55)
        jags = ((0.3, (0.55, 0.75)), (0, (0.95, 1.1)), (-0.3, (0.55, 0.75)), (-0.6, (0.95, 1.1)))
        jagged = [(x + slope * cap * k, y + cap * b.between(*low)) for k, low in jags]
        left, right = (x - slope * cap, y + cap), (x + slope * cap, y + cap)
        b.polygon([(x, y), right, (x + slope * cap * 0.6, y + cap * 0.8), *jagged, left], WHITE)
        b.polygon([(x, y), right, (x + slope * cap * 0.4, y + cap * 0.75)], (205, 215, 235))
    b.gradient((250, 252, 255), (205, 218, 238), horizon - 0.02, 1)
    fir = b.near((30, 70, 60), 12)
    for _ in range(b.count(3, 9)):
        x, y, r = b.between(0, 1), b.between(horizon, 0.97), b.between(0.03, 0.06)
        for step in range(3):
            top = y - r * (3.6 - step)
            width = r * (0.5 + 0.25 * step)
            b.polygon([(x, top), (x + width, top + r * 1.6), (x - width, top + r * 1.6)], fir)


def coast(b: Brush) -> None:
    """Blue sea between a sandy beach with foam and a cliff."""
    horizon = b.between(0.3, 0.45)
    sky = b.near(b.pick(((100, 180, 240), (150, 205, 245), (250, 190, 130))))
    b.gradient(sky, mix(sky, WHITE, 0.55), 0, horizon)
    if b.chance(0.5):
        b.ellipse(b.between(0.1, 0.9), b.between(0.08, horizon - 0.08), 0.06, 0.06, (255, 240, 180))
    b.clouds(0.05, horizon - 0.1, mix(sky, WHITE, 0.8), b.count(0, 3))
    sea = b.near((20, 110, 180))
    b.gradient(sea, mix(sea, (70, 210, 205), 0.8), horizon, 1)
    for _ in range(b.count(6, 12)):
        x, y = b.between(0, 1), b.between(horizon + 0.03, 0.75)
        b.line([(x, y), (x + b.between(0.05, 0.15), y)], mix(sea, WHITE, 0.6), 0.012)
    side = 1 if b.chance(0.5) else -1
    left, right = b.between(0.6, 0.72), b.between(0.75, 0.92)
    shore = [(0, left), (0.3, left + 0.06), (0.6, (left + right) / 2), (1, right)]
    shore = [(x if side > 0 else 1 - x, y) for x, y in shore]
    end = 1 - shore[0][0]
    sand = b.near((232, 205, 150))
    for lift, colour in ((-0.03, WHITE), (0.02, mix(sand, (150, 120, 80), 0.35)), (0.06, sand)):
        b.polygon([*((x, y + lift) for x, y in shore), (end, 1.2), (1 - end, 1.2)], colour)
    cliff, foot = b.near((135, 105, 85)), 0.5 + side * 0.5
    reach, top = b.between(0.25, 0.45) * side, horizon - b.between(0.1, 0.22)
    outline = (
        (0, top),
        (0.6, top + 0.03),
        (0.7, horizon),
        (1, horizon + 0.08),
        (0, horizon + 0.14),
    )
    b.polygon([(foot - reach * share, y) for share, y in outline], cliff)
    meadow = [(foot, top - 0.02), (foot - reach * 0.6, top + 0.02), (foot, top + 0.07)]
    b.polygon(meadow, b.near((85, 145, 65)))


def waterfall(b: Brush) -> None:
    """A white fall between dark rocks and bushes, into a pool with mist."""
    sky = b.near((175, 215, 240))
    b.gradient(sky, mix(sky, WHITE, 0.5), 0, 0.3)
    top, pool = b.between(0.1, 0.22), b.between(0.72, 0.82)
    rock = b.near((80, 78, 72), 14)
    b.ridge(top + 0.05, 0.08, 6, b.near((45, 110, 50)))
    b.gradient(rock, mix(rock, (25, 30, 30), 0.6), top + 0.06, pool)
    for _ in range(12):
        x, y, r = b.between(0, 1), b.between(top + 0.1, pool), b.between(0.05, 0.11)
        b.polygon([(x - r, y), (x, y - r * 0.7), (x + r, y), (x, y + r * 0.5)], b.near(rock, 22))
    middle, half = b.between(0.35, 0.65), b.between(0.13, 0.2)
    b.trapezoid(middle, top + 0.02, half * 0.7, pool, half, (225, 240, 250))
    for _ in range(9):
        x = b.between(-0.85, 0.85)
        ends = [(middle + half * 0.7 * x, top + 0.02), (middle + half * x, pool)]
        b.line(ends, b.pick(((165, 205, 235), (255, 255, 255), (190, 222, 242))), 0.016)
    water = b.near((40, 125, 150))
    b.gradient(mix(water, WHITE, 0.35), water, pool, 1)
    mist = (middle - half, pool - 0.02, middle + half, pool + 0.04)
    b.blobs(mist, (0.04, 0.08), (WHITE,), 7, 0.5)
    for _ in range(5):
        y = b.between(pool + 0.06, 0.98)
        ends = [(middle - half * 1.4, y), (middle + b.between(0, half * 1.5), y)]
        b.line(ends, (190, 225, 235), 0.012)
    green = (b.near((40, 120, 45)), b.near((70, 150, 55)), b.near((25, 85, 40)))
    b.blobs((-0.02, top, middle - half - 0.12, 0.95), (0.04, 0.09), green, b.count(8, 14))
    b.blobs((middle + half + 0.12, top, 1.02, 0.95), (0.04, 0.09), green, b.count(8, 14))


def volcano(b: Brush) -> None:
    """A dark cone with a glowing crater, lava streams and a column of smoke."""
    sky = b.near(b.pick(((70, 25, 45), (110, 45, 40), (50, 40, 75))))
    b.gradient(sky, mix(sky, (240, 120, 50), 0.7), 0, 0.8)
    x, top = b.between(0.35, 0.65), b.between(0.3, 0.4)
    smoke = b.near((75, 65, 70), 14)
    drift = b.between(-0.25, 0.25)
    for step in range(9):
        up = step / 8
        r = 0.05 + 0.1 * up
        shade = mix(mix(smoke, (230, 110, 50), 0.5 * (1 - up)), WHITE, b.between(0, 0.15))
        b.ellipse(x + drift * up + b.between(-0.03, 0.03), top - 0.02 - top * up, r, r * 0.8, shade)
    cone, mouth = b.near((55, 40, 42), 10), b.between(0.07, 0.1)
    b.trapezoid(x, top, mouth, 1, 0.75, cone)
    shaded = [(x + mouth * 0.3, top), (x + mouth, top), (x + 0.75, 1)]
    b.polygon(shaded, mix(cone, (15, 10, 15), 0.5))
    b.gradient(mix(cone, (20, 15, 20), 0.3), (25, 18, 22), 0.91, 1)
    lava: tuple[Colour, ...] = ((255, 90, 20), (255, 150, 30), (240, 60, 25))
    for _ in range(b.count(3, 5)):
        way = b.between(-0.45, 0.45)
        path = [(x + way * 0.1, top)]
        for step in range(1, 5):
            bend = b.between(-0.03, 0.03)
            path.append((x + way * (step / 4) + bend, top + (0.95 - top) * step / 4))
        b.line(path, lava[2], b.between(0.04, 0.055))
        b.line(path, b.pick(lava), 0.022)
    b.ellipse(x, top, mouth, 0.03, (255, 190, 60))
    for _ in range(b.count(8, 16)):
        b.ellipse(x + b.between(-0.22, 0.22), top - b.between(0, 0.25), 0.011, 0.011, b.pick(lava))


def pond(b: Brush) -> None:
    """Still green water with lily pads, pink blossoms and reeds."""
    green = b.near((125, 185, 95))
    b.gradient(mix(green, (220, 240, 200), 0.5), green, 0, 1)
    trees = (b.near((65, 135, 60)), b.near((95, 160, 75)), b.near((50, 110, 60)))
    b.blobs((0, 0.02, 1, 0.18), (0.08, 0.14), trees, 14)
    x, y, ry = b.between(0.42, 0.58), b.between(0.58, 0.64), b.between(0.3, 0.36)
    water = b.near(b.pick(((60, 135, 150), (75, 150, 130), (70, 140, 175))))
    b.ellipse(x, y, 0.56, ry + 0.03, b.near((95, 120, 60)))
    b.ellipse(x, y, 0.53, ry, water)
    b.ellipse(x, y + ry * 0.25, 0.42, ry * 0.65, mix(water, (25, 60, 80), 0.25))
    for _ in range(b.count(4, 7)):
        rx, ly = b.between(0.2, 0.7), b.between(y - ry * 0.6, y + ry * 0.6)
        b.line([(rx, ly), (rx + 0.14, ly)], mix(water, WHITE, 0.5), 0.012)
    pad = b.near((85, 185, 75))
    for _ in range(b.count(6, 10)):
        px, py = b.between(0.1, 0.9), b.between(y - ry * 0.6, y + ry * 0.75)
        r = b.between(0.05, 0.09)
        b.ellipse(px, py, r, r * 0.5, b.near(pad, 12))
        b.polygon([(px, py), (px + r, py - r * 0.3), (px + r, py + r * 0.15)], water)
        if b.chance(0.5):
            bloom = b.pick(((245, 130, 180), (255, 240, 245), (240, 100, 150)))
            b.ellipse(px, py - 0.02, 0.035, 0.03, bloom)
            b.ellipse(px, py - 0.025, 0.014, 0.012, (250, 215, 70))
    for corner in (b.between(0, 0.1), b.between(0.88, 1)):
        for _ in range(b.count(4, 7)):
            rx, top = corner + b.between(-0.07, 0.07), b.between(0.35, 0.6)
            b.line([(rx, 1), (rx + b.between(-0.04, 0.04), top)], b.near((60, 125, 45)), 0.014)
            b.ellipse(rx, top + 0.02, 0.017, 0.05, (110, 70, 40))


def underwater(b: Brush) -> None:
    """Deep blue water with rays from above, bubbles, weeds and coral on sand."""
    water = b.near(b.pick(((30, 150, 200), (25, 160, 175), (45, 130, 210))))
    deep = mix(water, (5, 30, 75), 0.85)
    b.gradient(mix(water, WHITE, 0.35), deep, 0, 1)
    start = b.between(0.2, 0.8)
    for i in range(b.count(3, 5)):
        x, half = start + (i - 2) * 0.16, b.between(0.05, 0.09)
        foot = x + (x - 0.5) * 0.9
        ray = [(x - half * 0.4, 0), (x + half * 0.4, 0), (foot + half, 0.75), (foot - half, 0.75)]
        b.polygon(ray, mix(water, WHITE, 0.22))
    sand, floor = b.near((190, 180, 135)), b.between(0.82, 0.9)
    b.ridge(floor + 0.03, 0.07, 5, mix(sand, deep, 0.35))
    for _ in range(b.count(5, 8)):
        x, top, sway = b.between(0, 1), b.between(0.45, 0.75), b.between(0.02, 0.05)
        path = [(x + sway * (1 if k % 2 else -1), 1 - (1 - top) * k / 5) for k in range(6)]
        b.line(path, b.near((40, 130, 70), 22), 0.03)
    for _ in range(b.count(3, 5)):
        x, colour = b.between(0, 1), b.pick(((235, 90, 110), (245, 150, 80), (190, 90, 190)))
        for branch in range(5):
            lean = (branch - 2) * 0.035
            tip = (x + lean * 1.6, 0.98 - b.between(0.12, 0.2))
            b.line([(x, 1), (x + lean, 0.93), tip], colour, 0.022)
            b.ellipse(*tip, 0.017, 0.017, colour)
    for _ in range(b.count(2, 4)):
        x, y, r = b.between(0.1, 0.9), b.between(0.15, 0.7), b.between(0.025, 0.04)
        colour, way = b.pick(BRIGHT), 1 if b.chance(0.5) else -1
        b.ellipse(x, y, r, r * 0.55, colour)
        end = x - way * r * 1.6
        b.polygon([(x - way * r * 0.7, y), (end, y - r * 0.6), (end, y + r * 0.6)], colour)
    for _ in range(b.count(2, 3)):
        x = b.between(0.05, 0.95)
        for _ in range(5):
            r = b.between(0.012, 0.03)
            bx, by = x + b.between(-0.05, 0.05), b.between(0.05, 0.75)
            b.ring(bx, by, r, r, mix(water, WHITE, 0.75), 0.01)
