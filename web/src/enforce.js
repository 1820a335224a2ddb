// What 02_skeleton does to a pose, 66 numbers: put it on a body, keep joints inside their limits, score it.

const SMALL = 1e-16, DEGREES = 180 / Math.PI
const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
const subtract = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
const times = (s, a) => [s * a[0], s * a[1], s * a[2]]
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
const length = v => Math.sqrt(dot(v, v) + SMALL)
const unit = v => times(1 / length(v), v)
const degrees = (y, x) => Math.atan2(y, x + 0) * DEGREES
const angle = (a, b) => degrees(length(cross(a, b)), dot(a, b))
const across = (v, axis) => subtract(v, times(dot(v, axis), axis))  // the part of v at right angles to a unit vector
const share = v => Math.min(Math.max(v, 0), 1)
const hypot = Math.hypot
const UPRIGHT = [0, 0, 1]

// Axes are three unit vectors, left, back and up.
const inAxes = (axes, v) => axes.map(axis => dot(axis, v))
const outOfAxes = (axes, v) => add(add(times(v[0], axes[0]), times(v[1], axes[1])), times(v[2], axes[2]))

const joint = (x, j) => [x[3 * j], x[3 * j + 1], x[3 * j + 2]]
const between = (x, a, b) => subtract(joint(x, b), joint(x, a))
function put(x, j, v) {
  x[3 * j] = v[0]
  x[3 * j + 1] = v[1]
  x[3 * j + 2] = v[2]
}

// v, turned by the smallest rotation that takes unit vector a to unit vector b
function turn(a, b, v) {
  const axis = cross(a, b), w = cross(axis, v)
  return add(add(v, w), times(1 / Math.max(1 + dot(a, b), 1e-3), cross(axis, w)))
}

function turnBy(v, axis, angle) {  // Rodrigues' formula
  const c = Math.cos(angle / DEGREES), s = Math.sin(angle / DEGREES)
  return add(add(times(c, v), times(s, cross(axis, v))), times(dot(axis, v) * (1 - c), axis))
}

function direction(v, fallback) {  // of a vector, where it is long enough to have one
  const n2 = dot(v, v)
  return n2 > 1e-18 ? times(1 / Math.sqrt(n2), v) : fallback
}

// Axes turned by the smallest rotation that takes a bone, as seen in them, to the middle of its cone.
function carried(axes, seen, middle) {
  const columns = [0, 1, 2].map(c => turn(seen, middle, [axes[0][c], axes[1][c], axes[2][c]]))
  return [0, 1, 2].map(row => columns.map(column => column[row]))
}

function smooth(v, full, none) {  // 1 up to `full`, 0 from `none` on
  const t = share((none - v) / (none - full))
  return t * t * (3 - 2 * t)
}

function solve(A, b) {  // A λ = b by elimination; both are overwritten
  const n = b.length
  for (let k = 0; k < n; k++) {
    let pivot = k
    for (let i = k + 1; i < n; i++) if (Math.abs(A[i][k]) > Math.abs(A[pivot][k])) pivot = i
    ;[A[k], A[pivot]] = [A[pivot], A[k]]
    ;[b[k], b[pivot]] = [b[pivot], b[k]]
    for (let i = k + 1; i < n; i++) {
      const factor = A[i][k] / A[k][k]
      if (factor === 0) continue
      for (let j = k; j < n; j++) A[i][j] -= factor * A[k][j]
      b[i] -= factor * b[k]
    }
  }
  for (let k = n - 1; k >= 0; k--) {
    for (let j = k + 1; j < n; j++) b[k] -= A[k][j] * b[j]
    b[k] /= A[k][k]
  }
  return b
}

// ---------------------------------------------------------------- the canonical frame, as `canonical` of 00_data

const plainUnit = v => times(1 / Math.max(Math.sqrt(dot(v, v)), 1e-9), v)

function heading(x) {
  const left = plainUnit(add(between(x, 2, 1), between(x, 17, 16)))
  const forward = plainUnit(cross(left, between(x, 0, 12)))
  const chest = share((Math.abs(left[2]) - .7) / .3)
  const x1 = left[0] - chest * forward[1], y1 = left[1] + chest * forward[0]
  return hypot(x1, y1) > 1e-3 ? Math.atan2(y1, x1) : 0
}

export function canonical(pose) {  // Float32Array(66): pelvis at the origin, facing -Y
  const c = Math.cos(-heading(pose)), s = Math.sin(-heading(pose)), out = new Float32Array(66)
  for (let j = 0; j < 22; j++) {
    const [x, y, z] = between(pose, 0, j)
    put(out, j, [c * x - s * y, s * x + c * y, z])
  }
  return out
}

// ---------------------------------------------------------------- measures of the trunk

const pointsToAxes = (sideways, upwards, nudge) => {
  const left = unit([sideways[0] + 1e-6, sideways[1], sideways[2]])
  const up = unit([upwards[0], upwards[1], upwards[2] + nudge])
  const back = unit(cross(up, left))
  return [cross(back, up), back, up]
}

function trunkAxes(x) {  // of pelvis and chest
  const hips = add(joint(x, 1), joint(x, 2)), chest = add(joint(x, 12), add(joint(x, 13), joint(x, 14)))
  return [pointsToAxes(between(x, 2, 1), subtract(times(2, joint(x, 3)), hips), 2e-6),
          pointsToAxes(between(x, 14, 13), subtract(chest, times(3, joint(x, 9))), 3e-6)]
}

// Left, back and up of the chest, as seen in the pelvis.
const chestSeen = ([pelvis, chest]) => chest.map(axis => inAxes(pelvis, axis))

function trunkTwist(axes) {
  const [left, , up] = chestSeen(axes), turned = turn(up, UPRIGHT, left)
  return degrees(turned[1], turned[0])
}

function quaternion(columns) {  // w and vector of the rotation with these columns, w >= 0
  const [[a, d, g], [b, e, h], [c, f, i]] = columns
  const rows = [[1 + a + e + i, h - f, c - g, d - b], [h - f, 1 + a - e - i, b + d, c + g],
                [c - g, b + d, 1 - a + e - i, f + h], [d - b, c + g, f + h, 1 - a - e + i]]
  let best = 0
  for (let k = 1; k < 4; k++) if (rows[k][k] > rows[best][best]) best = k
  const q = rows[best], scale = (q[0] < 0 ? -1 : 1) / hypot(...q)
  return [q[0] * scale, q.slice(1).map(v => v * scale)]
}

// Directions of spine2 and spine3 where each joint of the spine makes a third of the chest's turn.
function evenSpine(axes) {
  const [w, v] = quaternion(chestSeen(axes)), size2 = dot(v, v), isSmall = size2 < 1e-12
  const size = isSmall ? 1 : Math.sqrt(size2), [x, y, z] = v
  return [1 / 3, 2 / 3].map(part => {
    const turned = part * 2 * Math.atan2(size, w)
    const s = isSmall ? 2 * part : Math.sin(turned) / size
    const c = isSmall ? 2 * part * part : (1 - Math.cos(turned)) / (size * size)
    return outOfAxes(axes[0], [s * y + c * x * z, c * y * z - s * x, 1 - c * (x * x + y * y)])
  })
}

const LEGS = [[1, 4, 7, 10], [2, 5, 8, 11]]  // hip, knee, ankle, foot
const legDirections = (x, [hip, knee, ankle, foot]) =>
  [unit(between(x, hip, knee)), unit(between(x, knee, ankle)), unit(between(x, ankle, foot))]

function kneeFlexion(x, leg) {
  const [thigh, shin, toes] = legDirections(x, leg)
  const axis = cross(toes, shin), bend = cross(thigh, shin)
  const isBackward = length(axis) > .5 && dot(unit(bend), unit(axis)) < -.5
  return degrees(length(bend), dot(thigh, shin)) * (isBackward ? -1 : 1)
}

// A limb of two bones whose end reaches for a target: its middle and end; the middle stays on its side.
function twoBones(root, target, upper, lower, middle) {
  const way = subtract(target, root)
  const reach = Math.max(Math.min(length(way), .9995 * (upper + lower)), Math.abs(upper - lower) + 1e-3)
  const ahead = direction(way, [0, 0, -1])
  const along = (upper ** 2 - lower ** 2 + reach ** 2) / (2 * reach)
  const off = subtract(middle, root)
  const sizes = ahead.map(Math.abs), least = sizes.indexOf(Math.min(...sizes))
  const axis = [0, 1, 2].map(k => k === least ? 1 : 0)  // lies most across, for a limb that is straight
  const aside = direction(across(off, ahead), unit(across(axis, ahead)))
  const bent = Math.sqrt(Math.max(upper ** 2 - along ** 2, 0))
  return [add(root, add(times(along, ahead), times(bent, aside))), add(root, times(reach, ahead))]
}

// ---------------------------------------------------------------- a body and its limits

// Numbers of the cones, in the order of `LIMIT_NAMES`.
const TRUNK = 0, HEAD = 1, HIP = 2, KNEE = 3, ANKLE = 4, CLAVICLE = 5, SHOULDER = 6, ELBOW = 7
const N_SECTORS = 24, INSIDE = .999, SHORT_AIM = .5
const NO_SIDE = 130, NO_TRUNK_SIDE = 110  // degrees
const TRUNK_JOINTS = [0, 1, 2, 3, 6, 9, 12, 13, 14]
const ABOVE = [9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]  // chest, head and arms
const LEFT_LIMBS = [4, 7, 10, 16, 18, 20], RIGHT_LIMBS = [5, 8, 11, 17, 19, 21]
const KNEE_RANGE = 40, TOES_ASIDE = .245, SPINE_PLAY = 4, MORE_WALKS = 20, SLACK = .05
const GIVES = .04
const NEAR_FLOOR = [.02, .07], NEAR_FLAT = [.04, .09], TOLD = .02
const SEAT = [0, 1, 2, 3, 6, 9, 12, 15, 16, 17], TOUCHING = [4, 5, 18, 19, 20, 21]
const HEEL = [-.05, .486]
const SCALE_RANGE = [.5, 2], SAME_SIZE = [1.05, 1.15], BONE_TOLERANCE = [.5, .1], SHORT_BONE = .6

export class Body {
  constructor(numbers) {  // as `body_numbers` of 04b_web writes them
    this.numbers = numbers
    this.parents = numbers.parents
    this.mirrorIdx = numbers.mirror_idx
    this.lengths = [0, ...numbers.lengths]  // joint by joint: of the bone that ends there
    this.mirroredLengths = this.mirrorIdx.map(j => this.lengths[j])
    this.corners = numbers.corners
    this.edges = numbers.edges
    this.cones = numbers.poles  // of each the middle, forward and the third axis
    this.rest = numbers.rest
    this.segments = numbers.segments.map(([start, end, low, high]) => ({start, end, low, high}))
  }

  bone(x, j) { return between(x, this.parents[j], j) }
  boneLengths(x) { return this.lengths.map((_, j) => j ? Math.sqrt(dot(this.bone(x, j), this.bone(x, j))) : 0) }

  mirrored(x) {
    const out = new Float64Array(66)
    for (let j = 0; j < 22; j++) {
      const [a, b, c] = joint(x, this.mirrorIdx[j])
      put(out, j, [-a, b, c])
    }
    return out
  }

  // ---------------------------------------------------------------- cones

  bend(d, cone) {  // away from the middle of a cone: to which side, by how many degrees
    const [c, a, b] = inAxes(this.cones[cone], d), s = Math.sqrt(a * a + b * b + SMALL)
    return [[a / s, b / s], degrees(s, c)]
  }

  edge(side, cone) {  // the number of the cone's edge in the direction of a bend
    const sector = Math.floor(degrees(side[1], side[0]) * (N_SECTORS / 360))
    return N_SECTORS * cone + (sector % N_SECTORS + N_SECTORS) % N_SECTORS
  }

  share(bend, cone) {  // of a bend in the radius of its cone
    const k = this.edge(bend, cone)
    return bend[0] * this.edges[0][k] + bend[1] * this.edges[1][k]
  }

  intoCone(d, boneLength, cone, noSide = NO_SIDE) {  // a unit direction inside a cone, for a bone that aims at d
    const distance = length(d), aim = times(1 / distance, d)
    const [side, bend] = this.bend(aim, cone)
    const radius = 1 / Math.max(this.share(side, cone), 1e-12)
    const hasSide = Math.min((180 - bend) / (180 - noSide), 1), hasAim = Math.min(distance / boneLength / SHORT_AIM, 1)
    const allowed = Math.min(bend, INSIDE * radius) * hasSide * hasAim
    if (!(allowed < bend - 1e-9)) return aim
    const across = Math.sin(allowed / DEGREES)
    return outOfAxes(this.cones[cone], [Math.cos(allowed / DEGREES), across * side[0], across * side[1]])
  }

  beyond(bend, cone) {  // degrees that a bend is outside of the polygon of its cone
    if (!(this.share(bend, cone) > 1)) return 0
    const corners = this.corners[cone]
    let nearest = Infinity
    corners.forEach((start, k) => {
      const end = corners[(k + 1) % N_SECTORS], edge = [end[0] - start[0], end[1] - start[1]]
      const off = [bend[0] - start[0], bend[1] - start[1]]
      const part = share((off[0] * edge[0] + off[1] * edge[1]) / (edge[0] ** 2 + edge[1] ** 2))
      nearest = Math.min(nearest, (off[0] - part * edge[0]) ** 2 + (off[1] - part * edge[1]) ** 2)
    })
    return Math.sqrt(nearest + SMALL)
  }

  bends(x, axes) {  // of a pose in all cones, as two numbers of degrees; its left side
    const [pelvis, chest] = axes, at = (a, b) => unit(between(x, a, b)), middle = cone => this.cones[cone][0]
    const seen = []
    seen[TRUNK] = chestSeen(axes)[2]
    seen[HEAD] = inAxes(chest, at(12, 15))
    seen[HIP] = inAxes(pelvis, at(1, 4))
    seen[CLAVICLE] = inAxes(chest, at(13, 16))
    seen[SHOULDER] = inAxes(chest, at(16, 18))
    const thigh = carried(pelvis, seen[HIP], middle(HIP))
    seen[KNEE] = inAxes(thigh, at(4, 7))
    seen[ELBOW] = inAxes(carried(chest, seen[SHOULDER], middle(SHOULDER)), at(18, 20))
    seen[ANKLE] = inAxes(carried(thigh, seen[KNEE], middle(KNEE)), at(7, 10))
    return seen.map((d, cone) => {
      const [side, bend] = this.bend(d, cone)
      return [side[0] * bend, side[1] * bend]
    })
  }

  violations(x) {  // degrees beyond each of LIMIT_NAMES
    const axes = trunkAxes(x), other = this.mirrored(x)
    const left = this.bends(x, axes), right = this.bends(other, trunkAxes(other)).slice(2)
    const even = evenSpine(axes)
    return [
      ...left.map((bend, cone) => this.beyond(bend, cone)), ...right.map((bend, k) => this.beyond(bend, k + 2)),
      Math.max(Math.abs(trunkTwist(axes)) - this.numbers.trunk_twist, 0),
      ...LEGS.map(leg => Math.max(-kneeFlexion(x, leg) - this.numbers.knee_backward, 0)),
      ...[6, 9].map((j, k) => Math.max(angle(even[k], unit(this.bone(x, j))) - SPINE_PLAY - .1, 0))]
  }

  // ---------------------------------------------------------------- steps of `enforce_skeleton`

  toSize(x) {  // 1. scale to the size of the body
    const found = this.boneLengths(x)
    const ratios = this.numbers.long_joints.map(j => Math.log(this.lengths[j] / Math.max(found[j], 1e-9)))
    const middle = ratios.sort((a, b) => a - b).slice(2, -2).reduce((a, b) => a + b) / 4
    const [low, high] = SCALE_RANGE.map(Math.log), [noise, other] = SAME_SIZE.map(Math.log)
    const size = Math.max(Math.min(middle, high), low)
    const grown = Math.max(Math.abs(size) - noise, 0) * other / (other - noise)
    const scale = Math.exp(Math.sign(size) * Math.min(Math.abs(size), grown))
    return x.map(v => v * scale)
  }

  attach(x) {  // 2. bring detached joints back, and give short bones a direction
    const pelvis = trunkAxes(x)[0], out = new Float64Array(66)
    for (let j = 1; j < 22; j++) {
      let bone = this.bone(x, j)
      const own = this.lengths[j], tooShort = Math.max(1 - Math.sqrt(dot(bone, bone)) / own / SHORT_BONE, 0)
      if (tooShort) bone = add(bone, times(tooShort * own, outOfAxes(pelvis, this.rest[j])))
      const norm = Math.sqrt(dot(bone, bone)), tolerance = Math.max(BONE_TOLERANCE[0] * own, BONE_TOLERANCE[1])
      const within = Math.max(Math.min(norm, own + tolerance), Math.max(own - tolerance, 1e-3))
      put(out, j, add(joint(out, this.parents[j]), times(within / Math.max(norm, 1e-9), bone)))
    }
    return out
  }

  shareError(x, {back, M}, rounds) {  // 3. share the error of the lengths among the joints
    const order = this.numbers.inwards
    x = x.slice()
    for (let round = 0; round < rounds; round++) {
      const bones = order.map(j => this.bone(x, j)), norms = bones.map(length)
      const u = bones.map((bone, k) => times(1 / norms[k], bone))
      const system = u.map((a, i) => u.map((b, k) => M[i][k] && M[i][k] * dot(a, b)))
      const multipliers = solve(system, norms.map((norm, k) => norm - this.lengths[order[k]]))
      const moves = u.map((a, k) => times(multipliers[k], a))
      for (let j = 0; j < 22; j++)
        for (let k = 0; k < moves.length; k++)
          if (back[j][k]) put(x, j, subtract(joint(x, j), times(back[j][k], moves[k])))
    }
    return x
  }

  chestInside([pelvis, chest]) {  // axes of the chest, bent and twisted no more than the trunk allows
    const axes = [pelvis, chest], up = chestSeen(axes)[2], twist = trunkTwist(axes)
    const allowed = this.intoCone(up, 1, TRUNK, NO_TRUNK_SIDE)
    const hasSide = Math.min((180 - Math.abs(twist)) / (180 - NO_TRUNK_SIDE), 1)
    const less = Math.sign(twist) * Math.min(Math.abs(twist), this.numbers.trunk_twist - .1) * hasSide
    const isBeyond = Math.max(...subtract(allowed, up).map(Math.abs)) > 1e-9 || Math.abs(less - twist) > 1e-7
    if (!isBeyond) return chest
    const c = Math.cos(less / DEGREES), s = Math.sin(less / DEGREES)
    const left = turn(UPRIGHT, allowed, [c, s, 0]), behind = turn(UPRIGHT, allowed, [-s, c, 0])
    return [left, behind, allowed].map(v => outOfAxes(pelvis, v))
  }

  placeTrunk(x) {
    x = x.slice()
    const [pelvis, chest] = trunkAxes(x), inside = this.chestInside([pelvis, chest])
    if (inside !== chest) for (const j of ABOVE)
      put(x, j, add(joint(x, 6), outOfAxes(inside, inAxes(chest, between(x, 6, j)))))
    const even = evenSpine([pelvis, inside])
    const spine = [6, 9].map((j, k) => {
      const own = unit(this.bone(x, j))
      return turnBy(even[k], unit(cross(even[k], own)), Math.min(angle(even[k], own), SPINE_PLAY))
    })
    const directions = {6: spine[0], 9: spine[1]}
    for (const j of [1, 2, 3]) directions[j] = outOfAxes(pelvis, this.rest[j])
    for (const j of [12, 13, 14]) directions[j] = outOfAxes(inside, this.rest[j])
    for (const j of [1, 2, 3, 6, 9, 12, 13, 14])
      put(x, j, add(joint(x, this.parents[j]), times(this.lengths[j], directions[j])))
    return x
  }

  walkLeft(x, lengths) {  // outwards from the trunk, the head and the left limbs: aim at where each joint was
    const out = x.slice(), [pelvis, chest] = trunkAxes(x)
    const place = (axes, start, end, cone) => {
      const here = joint(out, start), aim = inAxes(axes, subtract(joint(x, end), here))
      const seen = this.intoCone(aim, lengths[end], cone)
      put(out, end, add(here, times(lengths[end], unit(outOfAxes(axes, seen)))))
      return carried(axes, seen, this.cones[cone][0])
    }
    const thigh = place(pelvis, 1, 4, HIP)
    place(chest, 13, 16, CLAVICLE)
    place(chest, 12, 15, HEAD)
    const shin = place(thigh, 4, 7, KNEE), upperArm = place(chest, 16, 18, SHOULDER)
    place(shin, 7, 10, ANKLE)
    place(upperArm, 18, 20, ELBOW)
    return out
  }

  walkIntoCones(x) {
    const out = this.walkLeft(x, this.lengths)
    const other = this.mirrored(this.walkLeft(this.mirrored(x), this.mirroredLengths))
    for (const j of RIGHT_LIMBS) put(out, j, joint(other, j))
    return out
  }

  turnKnees(x) {  // bent against the toes: straighten the knee or turn the toes; and whether there was one
    const legs = LEGS.map(leg => {
      const [thigh, shin, toes] = legDirections(x, leg), axis = unit(cross(thigh, shin))
      const behind = cross(axis, shin), backward = dot(toes, behind), straight = this.numbers.knee_backward - .1
      const tooBent = Math.max((angle(thigh, shin) - straight) / KNEE_RANGE, 0)
      const tooFar = Math.max((backward - TOES_ASIDE) / (1 - TOES_ASIDE), 0)
      return {leg, shin, toes, axis, behind, backward, step: Math.min(tooBent, tooFar)}
    })
    if (!legs.some(({step}) => step > 0)) return [x, false]
    x = x.slice()
    for (const {leg: [, knee, ankle, foot], shin, toes, axis, behind, backward, step} of legs) {
      const allowed = backward - (1 - TOES_ASIDE) * step, over = backward - allowed
      const aside = unit(add(subtract(toes, times(backward, behind)), times(over, shin)))
      const rest = Math.sqrt(Math.max(1 - allowed ** 2, 0))
      const turned = over > 0 ? add(times(allowed, behind), times(rest, aside)) : toes
      const sole = times(length(between(x, ankle, foot)), turned)
      put(x, ankle, add(joint(x, knee), turnBy(between(x, knee, ankle), axis, -KNEE_RANGE * step)))
      put(x, foot, add(joint(x, ankle), turnBy(sole, axis, -KNEE_RANGE * step)))
    }
    return [x, true]
  }

  walk(x) { return this.turnKnees(this.walkIntoCones(x)) }

  reach(aims, trunk) {  // limbs reach from a trunk for where others have them; and whether knees may be outside yet
    const put9 = x => TRUNK_JOINTS.forEach(j => put(x, j, joint(trunk, j)))
    aims = aims.slice()
    put9(aims)
    const shared = this.shareError(aims, this.numbers.held, 2)
    put9(shared)
    const [x, isLoose] = this.walk(shared)
    return isLoose ? this.walk(x) : [x, false]
  }

  // ---------------------------------------------------------------- limbs out of the body, soles on the floor

  contacts(x) {  // of every pair of segments that may clash: ways, places, vector between, clearance
    const lengths = this.boneLengths(x)
    const height = (lengths[4] + lengths[5] + lengths[7] + lengths[8]) / (2 * this.numbers.leg_share)
    const ends = this.segments.map(({start, end, low, high}) => {
      const way = between(x, start, end)
      return [add(joint(x, start), times(low, way)), times(high - low, way)]
    })
    return this.numbers.clashes.map(([first, second, radii]) => {
      const [p, d] = ends[first], [q, e] = ends[second], r = subtract(p, q)
      const a = dot(d, d) + 1e-12, b = dot(d, e), c = dot(d, r), f = dot(e, e) + 1e-12, g = dot(e, r)
      const t = share((b * share((b * g - c * f) / Math.max(a * f - b * b, 1e-12)) + g) / f), s = share((b * t - c) / a)
      const gap = subtract(add(r, times(s, d)), times(t, e))
      return {d, e, s, t, gap, clearance: length(gap) - radii * height / this.numbers.reference_height}
    })
  }

  pushedApart(x) {  // limbs moved out of what they overlap; null where none does
    const contacts = this.contacts(x)
    if (!contacts.some(({clearance}) => -clearance > GIVES)) return null
    const total = Array.from({length: 22}, () => [0, 0, 0]), weight = new Float64Array(22)
    for (const [pair, which, j, isEnd, low, high, hangs, nLimbs] of this.numbers.pushed) {
      const {d, e, s, t, gap, clearance} = contacts[pair], depth = Math.max(-clearance - GIVES, 0)
      const place = low + (which ? t : s) * (high - low), near = isEnd ? place : 1 - place
      const lever = hangs ? 1 / Math.max(near, .4) : near / (place ** 2 + (1 - place) ** 2)
      const push = (which ? -1 : 1) * lever * depth / nLimbs
      const way = direction(gap, direction(cross(d, e), [0, -1, 0]))
      total[j] = add(total[j], times(push * Math.abs(push), way))
      weight[j] += Math.abs(push)
    }
    const out = x.slice()
    total.forEach((v, j) => put(out, j, add(joint(x, j), times(1 / (weight[j] + 1e-9), v))))
    return out
  }

  heel(ankle, shin, foot) {
    const size = length(foot), toes = times(1 / size, foot), toSole = unit(across(shin, toes))
    return add(ankle, times(size, add(times(HEEL[0], toes), times(HEEL[1], toSole))))
  }

  heights(x) {  // of the skin under every joint, of the heels (where they are), and of the floor
    const skin = this.numbers.thickness.map((t, j) => x[3 * j + 2] - t)
    const heels = LEGS.map(([, knee, ankle, foot]) =>
      this.heel(joint(x, ankle), unit(between(x, knee, ankle)), between(x, ankle, foot)))
    const low = Math.min(...skin, heels[0][2], heels[1][2]), seat = Math.min(...SEAT.map(j => skin[j]))
    return {skin, heels, floor: low + (seat - low) * smooth(seat - low, ...NEAR_FLOOR)}
  }

  drop(gap) { return gap * (gap < 0 ? 1 : smooth(gap, ...NEAR_FLOOR)) }

  levelFoot(x, leg, ball, heel, floor) {  // ankle and foot with the sole on the floor, if it is near
    const [, knee, ankle, foot] = leg, here = joint(x, ankle), own = between(x, ankle, foot), size = length(own)
    const bears = smooth(Math.min(heel[2], ball) - floor, ...NEAR_FLOOR)
    const flat = bears * smooth(Math.abs(heel[2] - ball), ...NEAR_FLAT)
    const ahead = Math.hypot(own[0], own[1]), sine = this.numbers.rest_sine, cosine = Math.sqrt(1 - sine ** 2)
    const scale = cosine / Math.sqrt(ahead * ahead + SMALL), level = [own[0] * scale, own[1] * scale, sine]
    const toes = times(1 / size, own)
    const turned = times(size, unit(add(toes, times(flat, subtract(level, toes)))))
    const lowest = Math.min(this.heel(here, unit(between(x, knee, ankle)), turned)[2], here[2] + turned[2])
    const dropped = [here[0], here[1], here[2] - this.drop(lowest - floor)]
    return [dropped, add(dropped, turned)]
  }

  kneeFor(x, [hip, knee, ankle], target) {  // where a knee goes when its ankle goes somewhere, and how that falls short
    const root = joint(x, hip), middle = joint(x, knee)
    const [straight, reached] = twoBones(
      root, target, length(between(x, hip, knee)), length(between(x, knee, ankle)), middle)
    const ahead = unit(subtract(target, root))
    const along = add(root, times(dot(subtract(straight, root), ahead), ahead))
    const aside = across(subtract(middle, root), ahead)
    const scale = (length(subtract(straight, along)) + TOLD) / (length(aside) + TOLD)
    return [add(along, times(scale, aside)), subtract(reached, target)]
  }

  settled(x) {  // feet, knees, elbows and hands drawn to the floor; null where nothing moves
    const {skin, heels, floor} = this.heights(x), out = x.slice()
    LEGS.forEach((leg, side) => {
      const [, knee, ankle, foot] = leg
      const [toAnkle, toFoot] = this.levelFoot(x, leg, skin[foot], heels[side], floor)
      const [kneeThere, short] = this.kneeFor(x, leg, toAnkle)
      const [kneeHere, shortHere] = this.kneeFor(x, leg, joint(x, ankle))
      const missing = subtract(short, shortHere)
      put(out, knee, add(joint(x, knee), subtract(kneeThere, kneeHere)))
      put(out, ankle, add(toAnkle, missing))
      put(out, foot, add(toFoot, missing))
    })
    for (const j of TOUCHING) out[3 * j + 2] -= this.drop(skin[j] - floor)
    return out.some((v, k) => Math.abs(v - x[k]) > 1e-9) ? out : null
  }

  enforced(pose) {  // `enforce_skeleton` on the reference body: Float32Array(66)
    const origin = joint(pose, 0)
    let x = Float64Array.from(pose, (v, k) => v - origin[k % 3])
    x = this.placeTrunk(this.shareError(this.attach(this.toSize(x)), this.numbers.free, 3))
    let isLoose
    ;[x, isLoose] = this.reach(x, x)
    for (const step of ['pushedApart', 'pushedApart', 'pushedApart', 'settled', 'settled']) {
      const aims = this[step](x)
      if (aims) [x, isLoose] = this.reach(aims, x)
    }
    for (let i = 0; i < MORE_WALKS && isLoose; i++) {
      isLoose = this.violations(x).some(v => v > SLACK)
      if (isLoose) x = this.walk(x)[0]
    }
    return Float32Array.from(x)
  }

  // ---------------------------------------------------------------- how plausible a pose is

  supportOf(x, {skin, heels, floor}) {  // metres that the centre of mass is outside of what touches the floor
    const points = [...skin.map((_, j) => joint(x, j)), ...heels], heights = [...skin, heels[0][2], heels[1][2]]
    const touching = points.filter((_, k) => heights[k] - floor < .04)
    const mass = [0, 1].map(c => this.numbers.mass.reduce((sum, m, j) => sum + m * x[3 * j + c], 0))
    const outside = Array.from({length: 16}, (_, k) => {
      const c = Math.cos(k * Math.PI / 8), s = Math.sin(k * Math.PI / 8)
      return c * mass[0] + s * mass[1] - Math.max(-1e6, ...touching.map(p => c * p[0] + s * p[1]))
    })
    return Math.max(...outside)
  }

  onHeadAlone(x, {skin, floor}) {
    const rest = Math.min(...skin.filter((_, j) => j !== 12 && j !== 15)) - floor
    const feet = Math.min(x[32], x[35]) - x[2]
    return (x[2] - x[47]) * (1 - smooth(rest, .06, .14)) * (1 - smooth(feet, .2, .4))
  }

  toesUp(x, {skin, heels, floor}) {  // degrees by which the toes of a foot on its heel point up
    const stands = Math.min(...SEAT.map(j => skin[j])) - floor > .25
    return LEGS.map(([, , ankle, foot], side) => {
      const sole = Math.sqrt(1 - this.numbers.rest_sine ** 2) * 1.35 * length(between(x, ankle, foot))
      const rise = (skin[foot] - heels[side][2]) / Math.max(sole, 1e-3)
      const up = Math.asin(Math.min(Math.max(rise, -(1 - 1e-6)), 1 - 1e-6)) * DEGREES
      return heels[side][2] - floor < .04 && stands ? up : 0
    })
  }

  unheardOf(x, [pelvis, chest]) {  // distance of the directions of the bones from what is common
    const seen = chestSeen([pelvis, chest])
    const limbs = this.numbers.posture_joints.map(j => inAxes(j < 12 ? pelvis : chest, unit(this.bone(x, j))))
    const all = [...seen[2], ...seen[0], ...pelvis.map(axis => axis[2]), ...limbs.flat()]
    const v = all.map((a, k) => a - this.numbers.posture_mean[k])
    const rest = v.slice()
    for (const component of this.numbers.posture_components) {
      const part = component.reduce((sum, c, k) => sum + c * v[k], 0)
      component.forEach((c, k) => { rest[k] -= part * c })
    }
    return Math.sqrt(rest.reduce((sum, a) => sum + a * a, 0) + SMALL)
  }

  score(pose) {  // 0 (impossible) to 1 (nothing found), as `plausibility`
    const x = Float64Array.from(pose, v => Math.max(Math.min(v, 1e6), -1e6)), n = this.numbers
    const axes = trunkAxes(x), heights = this.heights(x), violations = this.violations(x)
    const logs = this.lengths.map((_, j) => j ? Math.log(dot(this.bone(x, j), this.bone(x, j)) + 1e-12) / 2 : 0)
    const size = n.long_joints.reduce((sum, j) => sum + logs[j], 0) / n.long_joints.length
    const ratios = logs.map(v => v - size), outside = (v, low, high) => Math.max(low - v, 0) + Math.max(v - high, 0)
    const girdles = [1, 2, 3, 12, 13, 14].map(j => {
      const bone = this.bone(x, j)
      return length(subtract(bone, times(length(bone), outOfAxes(axes[j < 12 ? 0 : 1], this.rest[j]))))
    })
    const pairs = n.mirror_idx.flatMap((other, j) => other > j ? [[j, other]] : [])
    const found = {
      limits: violations.slice(0, -2),
      spine: violations.slice(-2),
      girdles: girdles.map(v => v - .01),
      symmetry: pairs.map(([a, b]) => Math.abs(ratios[a] - ratios[b]) - .06),
      proportions: ratios.slice(1).map((v, k) => outside(v, n.shortest[k], n.longest[k])),
      size: [outside(size, ...n.size_range)],
      overlap: this.contacts(x).map(({clearance}) => -clearance - GIVES - .01),
      feet: this.toesUp(x, heights).map(v => v - 60),
      support: [this.supportOf(x, heights) - .85, this.onHeadAlone(x, heights) - .15],
      posture: [this.unheardOf(x, axes) - 1.25]}
    let cost = 0
    for (const [rule, values] of Object.entries(found))
      for (const v of values) cost += (Math.max(v, 0) / n.rule_units[rule]) ** 2
    return 1 / (1 + (Math.max(cost, 1e-12) / n.calibration.half) ** n.calibration.power)
  }
}
