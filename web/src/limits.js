// Joint limits of chapter 02_skeleton for one pose: an array of 22 vectors, canonical frame.
// A limit is a cone: the polygon of bends, in degrees, that a bone may make away from its middle.
import * as T from './skeleton_data.js'
import {
  add, apply, applyTransposed, clip, cross, degrees, dot, radians, scale, sub, transpose, turn, turnBy,
} from './vector.js'

const UP = [0, 0, 1]
const SPINE_PLAY = 4, INSIDE = .999, NO_SIDE = 130, NO_TRUNK_SIDE = 110, SHORT_AIM = .5
const KNEE_RANGE = 40, TOES_ASIDE = .245
const N_SECTORS = T.edges[0].length
const CONE = Object.fromEntries(T.cones.map(([name], i) => [name, i]))
const TRUNK = [1, 2, 3, 6, 9, 12, 13, 14]
const ABOVE = [9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]
const RIGHT_LIMBS = [5, 8, 11, 17, 19, 21]
const LEGS = [[1, 4, 7, 10], [2, 5, 8, 11]]

// as in 02_skeleton: the tiny term keeps what has no length defined
const norm = v => Math.sqrt(dot(v, v) + 1e-16)
const unit = v => scale(v, 1 / norm(v))
const angle = (a, b) => degrees(norm(cross(a, b)), dot(a, b))

const flip = v => [-v[0], v[1], v[2]]
export const mirrored = x => T.mirror.map(j => flip(x[j]))
const axesOf = (left, up) => {
  const back = unit(cross(up, left))
  return [cross(back, up), back, up]
}

/** Rows left, back and up of pelvis and chest. */
export function trunkAxes(x) {
  const hips = add(sub(x[1], x[2]), [1e-6, 0, 0])
  const low = add(sub(scale(x[3], 2), add(x[1], x[2])), [0, 0, 2e-6])
  const collars = add(sub(x[13], x[14]), [1e-6, 0, 0])
  const high = add(sub(add(x[12], add(x[13], x[14])), scale(x[9], 3)), [0, 0, 3e-6])
  return {pelvis: axesOf(unit(hips), unit(low)), chest: axesOf(unit(collars), unit(high))}
}

/** Left, back and up of the chest as seen from the pelvis, as rows. */
export const chestSeen = axes => axes.chest.map(v => apply(axes.pelvis, v))

export function twistOf(axes) {
  const [left, , up] = chestSeen(axes)
  const straight = turn(up, UP, left)
  return degrees(straight[1], straight[0])
}

/** Directions of spine2 and spine3 where each joint of the spine makes a third of the chest's turn. */
function evenSpine(axes) {
  const [[a, d, g], [b, e, h], [c, f, i]] = chestSeen(axes)
  const rows = [[1 + a + e + i, h - f, c - g, d - b], [h - f, 1 + a - e - i, b + d, c + g],
                [c - g, b + d, 1 - a + e - i, f + h], [d - b, c + g, f + h, 1 - a - e + i]]
  let best = 0
  for (const k of [1, 2, 3]) if (rows[k][k] > rows[best][best]) best = k
  const sign = rows[best][0] < 0 ? -1 : 1
  const q = rows[best].map(v => sign * v / Math.hypot(...rows[best]))
  const v = q.slice(1)
  const size = norm(v)
  if (size < 1e-6) return [axes.pelvis[2], axes.pelvis[2]]
  const axis = scale(v, 1 / size), whole = 2 * Math.atan2(size, q[0]) * 180 / Math.PI
  return [1 / 3, 2 / 3].map(share => applyTransposed(axes.pelvis, turnBy(UP, axis, share * whole)))
}

/** A direction as a bend away from the middle of a cone: to which side, by how many degrees. */
function bendOf(d, cone) {
  const [c, a, b] = apply(T.poles[cone], d)
  const s = Math.sqrt(a * a + b * b + 1e-16)
  return {side: [a / s, b / s], bend: degrees(s, c)}
}

function edgeAt(side, cone) {
  const sector = Math.floor(degrees(side[1], side[0]) * N_SECTORS / 360)
  return T.edges[cone][((sector % N_SECTORS) + N_SECTORS) % N_SECTORS]
}

/** Direction inside a cone for a bone of a length that starts at the origin and aims at v. */
function intoCone(v, length, cone, noSide = NO_SIDE) {
  const distance = norm(v)
  const d = scale(v, 1 / distance)
  const {side, bend} = bendOf(d, cone)
  const edge = edgeAt(side, cone)
  const radius = 1 / Math.max(side[0] * edge[0] + side[1] * edge[1], 1e-12)
  const hasSide = Math.min((180 - bend) / (180 - noSide), 1)
  const hasAim = Math.min(distance / length / SHORT_AIM, 1)
  const allowed = Math.min(bend, INSIDE * radius) * hasSide * hasAim
  if (allowed >= bend - 1e-9) return d
  const s = Math.sin(radians(allowed))
  return applyTransposed(T.poles[cone], [Math.cos(radians(allowed)), s * side[0], s * side[1]])
}

/** Axes turned by the smallest rotation that takes a bone, as seen in them, to the middle of its cone. */
const carried = (axes, seen, cone) => transpose(transpose(axes).map(column => turn(seen, T.poles[cone][0], column)))

/** Axes of a chest whose up is seen from the pelvis as a unit vector, twisted about it by degrees. */
export function bentAndTwisted(pelvis, up, twist) {
  const c = Math.cos(radians(twist)), s = Math.sin(radians(twist))
  const [left, back] = [[c, s, 0], [-s, c, 0]].map(v => turn(UP, up, v))
  return [left, back, up].map(v => applyTransposed(pelvis, v))
}

function chestInside(axes) {
  const up = chestSeen(axes)[2], twist = twistOf(axes)
  const allowed = intoCone(up, 1, CONE.trunk, NO_TRUNK_SIDE)
  const hasSide = Math.min((180 - Math.abs(twist)) / (180 - NO_TRUNK_SIDE), 1)
  const less = Math.sign(twist) * Math.min(Math.abs(twist), T.trunk_twist - .1) * hasSide
  const moved = Math.max(...sub(allowed, up).map(Math.abs)) > 1e-9 || Math.abs(less - twist) > 1e-7
  return moved ? bentAndTwisted(axes.pelvis, allowed, less) : axes.chest
}

/**
 * The pose with this chest, by default its own inside the limits.
 * What hangs on the chest comes along, and the spine bends evenly.
 */
export function withChest(pose, lengths, wanted = null) {
  const x = pose.slice()
  const axes = trunkAxes(x)
  const chest = wanted ?? chestInside(axes)
  if (chest !== axes.chest) {
    for (const j of ABOVE) x[j] = add(x[6], applyTransposed(chest, apply(axes.chest, sub(x[j], x[6]))))
  }
  const even = evenSpine({pelvis: axes.pelvis, chest})
  const own = [unit(sub(x[6], x[3])), unit(sub(x[9], x[6]))]
  const spine = own.map((v, i) =>
    turnBy(even[i], unit(cross(even[i], v)), Math.min(angle(even[i], v), SPINE_PLAY)))
  const rigid = j => applyTransposed(j < 6 ? axes.pelvis : chest, T.rest[j])
  for (const j of TRUNK) {
    const direction = j === 6 ? spine[0] : j === 9 ? spine[1] : rigid(j)
    x[j] = add(x[T.parents[j]], scale(direction, lengths[j - 1]))
  }
  return x
}

/** Left limbs and head of a pose, from the trunk outwards: aim at where each joint was, turn into its cone. */
function walkLeft(x, lengths) {
  const placed = x.slice()
  const {pelvis, chest} = trunkAxes(x)
  const place = (name, axes) => {
    const [, start, end] = T.cones[CONE[name]]
    const length = lengths[end - 1]
    const seen = intoCone(apply(axes, sub(x[end], placed[start])), length, CONE[name])
    placed[end] = add(placed[start], scale(unit(applyTransposed(axes, seen)), length))
    return seen
  }
  const hip = place('left_hip', pelvis)
  place('left_clavicle', chest)
  place('head', chest)
  const thigh = carried(pelvis, hip, CONE.left_hip)
  const knee = place('left_knee', thigh)
  const shoulder = place('left_shoulder', chest)
  place('left_ankle', carried(thigh, knee, CONE.left_knee))
  place('left_elbow', carried(chest, shoulder, CONE.left_shoulder))
  return placed
}

const mirroredLengths = lengths => T.mirror.slice(1).map(j => lengths[j - 1])

function walkIntoCones(x, lengths) {
  const out = walkLeft(x, lengths)
  const there = walkLeft(mirrored(x), mirroredLengths(lengths))
  for (const j of RIGHT_LIMBS) out[j] = flip(there[T.mirror[j]])
  return out
}

export const legDirections = (x, [hip, knee, ankle, foot]) =>
  [unit(sub(x[knee], x[hip])), unit(sub(x[ankle], x[knee])), unit(sub(x[foot], x[ankle]))]

/** Toes whose component along `behind` is the one allowed. */
function turnToes(toes, shin, behind, allowed) {
  const backward = dot(toes, behind), over = backward - allowed
  if (over <= 0) return toes
  const across = unit(add(sub(toes, scale(behind, backward)), scale(shin, over)))
  return add(scale(behind, allowed), scale(across, Math.sqrt(Math.max(1 - allowed * allowed, 0))))
}

/** Knees bent against the toes: straighten the knee or turn the toes, whichever is less. */
function turnKnees(pose) {
  const x = pose.slice()
  for (const leg of LEGS) {
    const [, knee, ankle, foot] = leg
    const [thigh, shin, toes] = legDirections(x, leg)
    const axis = unit(cross(thigh, shin)), behind = cross(axis, shin)
    const backward = dot(toes, behind)
    const tooBent = Math.max((angle(thigh, shin) - T.knee_backward + .1) / KNEE_RANGE, 0)
    const tooFar = Math.max((backward - TOES_ASIDE) / (1 - TOES_ASIDE), 0)
    const step = Math.min(tooBent, tooFar)
    if (step <= 0) continue
    const turned = turnToes(toes, shin, behind, backward - (1 - TOES_ASIDE) * step)
    const length = norm(sub(x[foot], x[ankle]))
    x[ankle] = add(x[knee], turnBy(sub(x[ankle], x[knee]), axis, -KNEE_RANGE * step))
    x[foot] = add(x[ankle], turnBy(scale(turned, length), axis, -KNEE_RANGE * step))
  }
  return x
}

/** The pose inside its joint limits. */
export const insideLimits = (x, lengths) => turnKnees(walkIntoCones(withChest(x, lengths), lengths))

/** Bends of trunk, head and left limbs (degrees, two numbers each), in the order of the cones. */
function bendsOf(x) {
  const axes = trunkAxes(x)
  const bone = name => {
    const [, start, end] = T.cones[CONE[name]]
    return unit(sub(x[end], x[start]))
  }
  const hip = apply(axes.pelvis, bone('left_hip')), shoulder = apply(axes.chest, bone('left_shoulder'))
  const thigh = carried(axes.pelvis, hip, CONE.left_hip)
  const knee = apply(thigh, bone('left_knee'))
  const seen = {
    trunk: chestSeen(axes)[2], head: apply(axes.chest, bone('head')), left_hip: hip, left_knee: knee,
    left_ankle: apply(carried(thigh, knee, CONE.left_knee), bone('left_ankle')),
    left_clavicle: apply(axes.chest, bone('left_clavicle')), left_shoulder: shoulder,
    left_elbow: apply(carried(axes.chest, shoulder, CONE.left_shoulder), bone('left_elbow')),
  }
  return T.cones.map(([name], cone) => {
    const {side, bend} = bendOf(seen[name], cone)
    return [side[0] * bend, side[1] * bend]
  })
}

/** Degrees that a bend is outside of the polygon of its cone. */
function beyond(v, cone) {
  const edge = edgeAt(v, cone)
  if (v[0] * edge[0] + v[1] * edge[1] <= 1) return 0
  const corners = T.corners[cone]
  const apart = corners.map((start, i) => {
    const end = corners[(i + 1) % corners.length]
    const way = [end[0] - start[0], end[1] - start[1]], off = [v[0] - start[0], v[1] - start[1]]
    const share = clip((off[0] * way[0] + off[1] * way[1]) / (way[0] ** 2 + way[1] ** 2), 0, 1)
    return Math.hypot(off[0] - share * way[0], off[1] - share * way[1])
  })
  return Math.min(...apart)
}

function kneeBackward(x, leg) {
  const [thigh, shin, toes] = legDirections(x, leg)
  const axis = cross(toes, shin), bend = cross(thigh, shin)
  const backward = norm(axis) > .5 && dot(unit(bend), unit(axis)) < -.5
  const flexion = degrees(norm(bend), dot(thigh, shin)) * (backward ? -1 : 1)
  return Math.max(-flexion - T.knee_backward, 0)
}

/** By how many degrees each limit, in the order of limit_names, is left. */
export function limitViolations(x) {
  const left = bendsOf(x).map((v, cone) => beyond(v, cone))
  const right = bendsOf(mirrored(x)).map((v, cone) => beyond(v, cone)).slice(2)
  const axes = trunkAxes(x), even = evenSpine(axes)
  const spine = [[3, 6], [6, 9]].map(([a, b], i) =>
    Math.max(angle(even[i], unit(sub(x[b], x[a]))) - SPINE_PLAY - .1, 0))
  const twist = Math.max(Math.abs(twistOf(axes)) - T.trunk_twist, 0)
  return [...left, ...right, twist, ...LEGS.map(leg => kneeBackward(x, leg)), ...spine]
}
