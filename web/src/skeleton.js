// The skeleton and its inverse kinematics: chapter 02f_editing, `reach`, for one pose.
// A pose is a flat array of 66 numbers: 22 joints, metres, Z up, facing -Y, +X the subject's left.
import * as T from './skeleton_data.js'
import {
  bentAndTwisted, chestSeen, insideLimits, legDirections, limitViolations, mirrored, trunkAxes, twistOf, withChest,
} from './limits.js'
import {
  add, angle, apply, applyTransposed, clip, cross, degrees, dot, EYE, multiply, norm, radians, rotation, scale, skew,
  solve, sub, transpose, turn, turnBy, turnVector, unit,
} from './vector.js'

export const NAMES = T.names, PARENTS = T.parents, MIRROR = T.mirror, GROUPS = T.groups
export const N_JOINTS = NAMES.length
export const REFERENCE_LENGTHS = T.lengths

export const toVectors = flat => NAMES.map((_, j) => [flat[3 * j], flat[3 * j + 1], flat[3 * j + 2]])
export const toFlat = x => Float32Array.from(x.flat())

const lengthsOf = x => x.slice(1).map((p, i) => Math.max(norm(sub(p, x[PARENTS[i + 1]])), 1e-6))
/** 21 lengths in metres. */
export const boneLengths = flat => lengthsOf(toVectors(flat))
/** Degrees beyond each limit, by name. */
export const violations = flat =>
  Object.fromEntries(limitViolations(toVectors(flat)).map((v, i) => [T.limit_names[i], v]))
/** The mirror image: left and right change sides. */
export const mirrorPose = flat => toFlat(mirrored(toVectors(flat)))
/** The pose inside its joint limits, with the same bones. */
export const keepLimits = flat => {
  const x = toVectors(flat)
  return toFlat(insideLimits(x, lengthsOf(x)))
}

// pelvis, chest (by the whole spine), two bones of the spine by themselves, then what hangs on them
const TURNS = [0, 9, 3, 6, 12, 13, 14, 1, 2, 16, 17, 4, 5, 18, 19, 7, 8]
const ON_TOP_OF = [-1, 0, -1, -1, 1, 1, 1, 0, 0, 5, 6, 7, 8, 9, 10, 11, 12]
const OUTWARD = [[4, 5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]]
const TURNED = [14, 15, 16, 3, 4, 17, 18, 6, 7, 19, 20, 9, 10]
const LIMB_JOINTS = [15, 16, 17, 4, 5, 18, 19, 7, 8, 20, 21, 10, 11]
const PELVIS_BONES = [0, 1, 2], CHEST_BONES = [11, 12, 13], SPINE_BONES = [5, 8]
const SHARES = [1 / 3, 2 / 3]
const SPINE_PLAY = radians(4.1)
const ASIDE = .15, STRAIGHT = .03
const HINGES = [11, 12, 13, 14], UPPER = [3, 4, 17, 18], LOWER = [6, 7, 19, 20]
const TRUNK = [1, 2, 3, 6, 9, 12, 13, 14]
const FREE_LIMBS = [[9, 1, [18, 20]], [10, 1, [19, 21]], [7, 0, [4, 7, 10]], [8, 0, [5, 8, 11]]]
const STAYS = .7, PULL = .5, MOST_TURN = .6, DAMPING = .1, LEAST_DAMPING = 1e-7
const LIMBS = {
  left_leg: [1, 4, 7, 7, 11], right_leg: [2, 5, 8, 8, 12],
  left_arm: [16, 18, 20, 9, 13], right_arm: [17, 19, 21, 10, 14], trunk: [3, 12, 15, 1, 4],
}
const ELBOW = {left_arm: [.5, .5, -.5], right_arm: [-.5, .5, -.5]}
const BENT = .25, BEND = .15, TELLS = .02, SHORTER = .01, NEAR = .5
const TRUNK_STEPS = 6, ROUNDS = 3, LAST = 4, CANNOT = [.01, .05], TIRES = 2
const LEG_JOINTS = [[1, 4, 7, 10], [2, 5, 8, 11]]

/** Matrix whose columns point left, back and up. */
function attitude(left, up) {
  const l = unit(add(left, [1e-6, 0, 0])), u = unit(add(up, [0, 0, 1e-6]))
  const back = unit(cross(u, l))
  return transpose([cross(back, u), back, u])
}

function nearUp(v) {
  const aside = [v[0], v[1], 0]
  const a = Math.min(Math.atan2(norm(aside), v[2]), SPINE_PLAY)
  return add(scale(unit(aside), Math.sin(a)), [0, 0, Math.cos(a)])
}

/** A pose that turns: positions x, unit bones, attitudes of pelvis and chest. */
class Body {
  constructor(x, lengths) {
    this.lengths = lengths
    this.bones = x.slice(1).map((p, i) => unit(sub(p, x[PARENTS[i + 1]])))
    this.pelvis = attitude(sub(x[1], x[2]), sub(x[3], scale(add(x[1], x[2]), .5)))
    this.chest = attitude(sub(x[13], x[14]), sub(scale(add(x[12], add(x[13], x[14])), 1 / 3), x[9]))
    this.ready = TURNS.map(() => 1)
    this.bend()
    this.spine = this.even.map((E, i) => nearUp(applyTransposed(E, this.bones[SPINE_BONES[i]])))
    this.grow()
  }

  bend() {
    this.bent = turnVector(multiply(this.chest, transpose(this.pelvis)))
    this.even = SHARES.map(s => multiply(rotation(scale(this.bent, s)), this.pelvis))
  }

  grow() {
    for (const b of PELVIS_BONES) this.bones[b] = apply(this.pelvis, T.rest_bones[b])
    for (const b of CHEST_BONES) this.bones[b] = apply(this.chest, T.rest_bones[b])
    SPINE_BONES.forEach((b, i) => { this.bones[b] = apply(this.even[i], this.spine[i]) })
    this.x = [[0, 0, 0]]
    this.bones.forEach((bone, b) => { this.x.push(add(this.x[PARENTS[b + 1]], scale(bone, this.lengths[b]))) })
  }

  /** Turn every joint by a vector, radians, what hangs on it included. */
  turn(vectors) {
    const R = vectors.map(rotation)
    this.spine = this.even.map((E, i) => applyTransposed(E, apply(R[2 + i], this.bones[SPINE_BONES[i]])))
    R[1] = multiply(R[0], R[1])
    for (const level of OUTWARD) for (const k of level) R[k] = multiply(R[ON_TOP_OF[k]], R[k])
    this.pelvis = multiply(R[0], this.pelvis)
    this.chest = multiply(R[1], this.chest)
    TURNED.forEach((b, k) => { this.bones[b] = apply(R[4 + k], this.bones[b]) })
    this.bend()
    this.grow()
  }
}

const noTurns = () => TURNS.map(() => [0, 0, 0])
const times = (A, s) => A.map(row => row.map(v => v * s))
const plus = (A, B) => A.map((row, i) => row.map((v, j) => v + B[i][j]))

/** J as blocks [turn][joint] of 3 x 3: how joints move by turns. */
function movesByTurns(body, joints) {
  const levers = TURNS.map((t, k) => joints.map(j => {
    if (!T.moves[j][k]) return [0, 0, 0]
    if (k === 2) return sub(body.x[6], body.x[3])
    if (k === 3) return sub(body.x[9], body.x[6])
    return sub(body.x[j], body.x[t])
  }))
  const J = levers.map(row => row.map(lever => times(skew(lever), -1)))
  const shares = SHARES.map(s => times(plus(EYE, times(skew(body.bent), -(1 - s) / 2)), s))
  joints.forEach((_, m) => {
    shares.forEach((share, i) => { J[1][m] = plus(J[1][m], multiply(J[2 + i][m], share)) })
  })
  return J
}

/** W as blocks of 3 x 3: how readily each joint turns. */
function readiness(body, trunkFree) {
  const W = T.readiness.map((r, k) => times(EYE, [0, 2, 3].includes(k) ? r * trunkFree : r))
  HINGES.forEach((k, i) => {
    const hinge = cross(body.bones[UPPER[i]], body.bones[LOWER[i]])
    const share = (1 - ASIDE) / (dot(hinge, hinge) + STRAIGHT)
    W[k] = EYE.map((row, a) => row.map((one, b) => ASIDE * one + share * hinge[a] * hinge[b]))
  })
  return W.map((block, k) => times(block, body.ready[k]))
}

const isWanted = (goals, joints) => joints.some(j => goals.has(j))

/** One step of damped least squares towards goals, a Map from joint to position. */
function step(body, goals) {
  const joints = [...goals.keys()], m = joints.length
  const off = joints.map(j => sub(goals.get(j), body.x[j]))
  const squares = off.reduce((sum, v) => sum + dot(v, v), 0) / m
  const J = movesByTurns(body, joints)
  const W = readiness(body, isWanted(goals, TRUNK) ? 1 : 0)
  const JW = J.map((row, k) => row.map(block => multiply(block, W[k])))
  const A = Array.from({length: 3 * m}, () => new Float64Array(3 * m))
  for (let k = 0; k < TURNS.length; k++) {
    for (let a = 0; a < 3 * m; a++) {
      const left = JW[k][Math.floor(a / 3)][a % 3]
      for (let b = 0; b <= a; b++) A[a][b] += dot(left, J[k][Math.floor(b / 3)][b % 3])
    }
  }
  for (let a = 0; a < 3 * m; a++) A[a][a] += DAMPING * squares + LEAST_DAMPING
  const y = solve(A, off.flatMap(v => scale(v, PULL / Math.max(norm(v), PULL))))
  const v = JW.map(row => {
    let sum = [0, 0, 0]
    row.forEach((block, i) => { sum = add(sum, applyTransposed(block, y.slice(3 * i, 3 * i + 3))) })
    return sum
  })
  for (const [k, carrier, hanging] of FREE_LIMBS) {
    if (!isWanted(goals, hanging)) v[k] = sub(v[k], scale(v[carrier], STAYS))
  }
  const most = Math.max(...v.map(norm), MOST_TURN)
  body.turn(v.map(w => scale(w, MOST_TURN / most)))
}

function steps(body, goals, n) {
  if (goals.size) for (let i = 0; i < n; i++) step(body, goals)
}

/** Shortest turn of unit vectors a to b, as a unit axis and an angle. */
function turnBetween(a, b) {
  const axis = cross(a, b)
  return {axis: unit(axis), angle: Math.atan2(norm(axis), dot(a, b))}
}

/** Turn limb bones whose two ends are given to where these ends say. */
function aim(body, goals) {
  for (const level of OUTWARD) {
    const turns = noTurns()
    let known = false
    for (const k of level) {
      const end = LIMB_JOINTS[k - 4], start = PARENTS[end]
      if (!goals.has(end) || !goals.has(start)) continue
      const {axis, angle: by} = turnBetween(body.bones[end - 1], unit(sub(goals.get(end), goals.get(start))))
      turns[k] = scale(axis, by)
      known = true
    }
    if (known) body.turn(turns)
  }
}

/** Turn limbs, of which only the end is given, nearly towards where it is to be. */
function swing(body, goals) {
  const turns = noTurns()
  for (const [start, middle, end, first] of Object.values(LIMBS).slice(0, 4)) {
    if (!goals.has(end) || goals.has(middle)) continue
    const root = body.x[start]
    const {axis, angle: by} = turnBetween(unit(sub(body.x[end], root)), unit(sub(goals.get(end), root)))
    turns[first] = scale(axis, Math.max(by - NEAR, 0))
  }
  body.turn(turns)
}

/** Where the middle of a limb goes when it bends. */
function bendsTo(body, limb) {
  if (limb in ELBOW) return apply(body.chest, ELBOW[limb])
  if (limb === 'trunk') return transpose(body.chest)[1]
  return body.bones[{left_leg: 9, right_leg: 10}[limb]]
}

/** Bend straight limbs that are to become shorter. */
function unlock(body, goals) {
  const x = body.x, turns = noTurns()
  for (const [limb, [start, middle, end, first, second]] of Object.entries(LIMBS)) {
    if (!goals.has(end)) continue
    const way = sub(x[end], x[start]), reach = norm(way)
    const ahead = scale(way, 1 / Math.max(reach, 1e-9))
    const across = v => sub(v, scale(ahead, dot(v, ahead)))
    const aside = add(across(sub(x[middle], x[start])), scale(across(bendsTo(body, limb)), TELLS))
    const sine = norm(cross(unit(sub(x[middle], x[start])), unit(sub(x[end], x[middle]))))
    const straight = clip(1 - sine / BENT, 0, 1)
    const shorter = clip((reach - norm(sub(goals.get(end), x[start]))) / SHORTER, 0, 1)
    const bend = scale(unit(cross(ahead, aside)), BEND * straight * shorter)
    turns[first] = add(turns[first], bend)
    turns[second] = sub(turns[second], scale(bend, 2))
  }
  body.turn(turns)
}

const onlyOf = (goals, joints) => new Map([...goals].filter(([j]) => joints.includes(j)))

function prepare(body, goals) {
  steps(body, onlyOf(goals, TRUNK), TRUNK_STEPS)
  aim(body, goals)
  swing(body, goals)
  unlock(body, goals)
}

/** The same pose inside its limits; what was beyond turns less readily, and legs that have no part in it stay. */
function bringInside(body, goals) {
  const moved = new Body(insideLimits(body.x, body.lengths), body.lengths)
  for (const leg of LEG_JOINTS) {
    if (!isWanted(goals, [...TRUNK, ...leg])) for (const j of leg) moved.bones[j - 1] = body.bones[j - 1]
  }
  moved.grow()
  const off = limitViolations(body.x)
  moved.ready = body.ready.map((ready, k) => {
    const beyond = off.reduce((sum, v, i) => sum + v * T.tired_by[i][k], 0)
    return ready / (1 + (beyond / TIRES) ** 2)
  })
  return moved
}

/** 0 where the goals were met, 1 where they cannot be, smooth between. */
function outOfReach(body, goals) {
  const off = Math.max(...[...goals].map(([j, p]) => norm(sub(p, body.x[j]))))
  const share = clip((off - CANNOT[0]) / (CANNOT[1] - CANNOT[0]), 0, 1)
  return share * share * (3 - 2 * share)
}

function stepsInsideLimits(body, goals, n) {
  const first = Math.floor((n + 1) / 2), rest = n - first
  steps(body, goals, first)
  const share = outOfReach(body, goals)
  let near = goals
  for (let round = 0; round < ROUNDS; round++) {
    body = bringInside(body, goals)
    near = new Map([...goals].map(([j, p]) => [j, add(p, scale(sub(body.x[j], p), share))]))
    steps(body, near, Math.floor(rest / ROUNDS) + (round < rest % ROUNDS ? 1 : 0))
  }
  body.ready = TURNS.map(() => 1)
  steps(body, near, LAST)
  return body
}

/**
 * The pose with the same bones whose joints are at their targets, or as near as they come.
 * targets: Map from joint number to [x, y, z] in metres; the pelvis stays where it is.
 */
export function reach(flat, targets, {nSteps = 24, limits = true} = {}) {
  const given = toVectors(flat), root = given[0]
  const x = given.map(p => sub(p, root))
  const wanted = [...targets].filter(([j]) => j > 0).sort(([a], [b]) => a - b)
  const goals = new Map(wanted.map(([j, p]) => [j, sub(p, root)]))
  let body = new Body(x, lengthsOf(x))
  if (goals.size) {
    prepare(body, goals)
    if (limits) body = stepsInsideLimits(body, goals, nSteps)
    else steps(body, goals, nSteps)
  }
  return toFlat(body.x.map(p => add(p, root)))
}

export const DRAGGABLE = [0, 4, 5, 7, 8, 10, 11, 15, 18, 19, 20, 21]
const FEET = [7, 8, 10, 11]
const HOLDS = .005      // metres that a pinned joint may give way
const BEYOND = 1        // degrees that a drag may leave a limit
const HALVINGS = 6, ROUNDS_INSIDE = 3
const ONE_BONE = {4: [1, 10], 5: [2, 11], 18: [16], 19: [17]} // knees and elbows: where their bone begins, and the toes
const worst = (after, before) => Math.max(...after.map((v, i) => v - Math.max(before[i], 0)))

/** A target nearer than a single bone is long, beside it: the bone turns aside until its end is as far along as asked. */
function besideBone(x, joint, to) {
  if (!(joint in ONE_BONE)) return to
  const [start, toes] = ONE_BONE[joint], length = norm(sub(x[joint], x[start]))
  const ahead = unit(sub(x[joint], x[start])), way = sub(to, x[start])
  const along = dot(way, ahead)
  if (norm(way) >= length || Math.abs(along) >= length) return to
  const across = v => sub(v, scale(ahead, dot(v, ahead)))
  const chest = trunkAxes(x).chest
  const side = toes ? sub(x[toes], x[toes - 3]) : applyTransposed(chest, ELBOW[joint === 18 ? 'left_arm' : 'right_arm'])
  const aside = unit(add(across(way), scale(across(unit(side)), TELLS)))
  return add(x[start], add(scale(ahead, along), scale(aside, Math.sqrt(length * length - along * along))))
}

/** The pose with targets reached as far as limits allow that the pose had not left before. */
function reachInside(flat, targets, before) {
  let moved = reach(flat, targets)
  for (let round = 0; round < ROUNDS_INSIDE; round++) {
    if (worst(limitViolations(toVectors(moved)), before) <= BEYOND) break
    moved = keepLimits(moved)
  }
  return moved
}

/**
 * A pose while a joint is dragged to a place: {pose, by}. Limits and pinned joints come first: where they would give
 * way, the drag stops short. The pelvis is the origin: where it is dragged, feet and pinned joints stay, so that the
 * body crouches or leans, and by is how far it went, metres. A place that is not finite moves nothing.
 */
export function dragged(flat, joint, to, pinned = []) {
  const x = toVectors(flat), pins = pinned.filter(j => j > 0 && j !== joint)
  const stays = {pose: Float32Array.from(flat), by: [0, 0, 0]}
  if (!to.every(Number.isFinite)) return stays
  const before = limitViolations(x), goal = besideBone(x, joint, to)
  const held = new Map((joint ? pins : [...FEET, ...pins]).map(j => [j, x[j]]))
  const attempt = share => {
    const step = scale(sub(goal, x[joint]), share), by = joint ? [0, 0, 0] : step
    const targets = new Map([...held].map(([j, p]) => [j, sub(p, by)]))
    if (joint) targets.set(joint, add(x[joint], step))
    const pose = reachInside(flat, targets, before), y = toVectors(pose)
    const fits = pins.every(j => norm(sub(y[j], sub(x[j], by))) <= HOLDS)
    return fits && worst(limitViolations(y), before) <= BEYOND ? {pose, by} : null
  }
  let found = attempt(1), low = 0, high = 1
  if (found) return found
  for (let i = 0; i < HALVINGS; i++) {
    const share = (low + high) / 2, there = attempt(share)
    if (there) [found, low] = [there, share]
    else high = share
  }
  return found ?? stays
}

export const drag = (...args) => dragged(...args).pose

const flip = v => [-v[0], v[1], v[2]]
const forwardAndAside = (v, sign) => [degrees(-v[1], sign * v[2]), degrees(v[0], Math.hypot(v[1], v[2]))]
const fromForwardAndAside = (forward, aside, sign) => {
  const [f, a] = [radians(forward), radians(aside)]
  return [Math.sin(a), -Math.cos(a) * Math.sin(f), sign * Math.cos(a) * Math.cos(f)]
}

/** The limb that a joint belongs to: trunk, neck, left_arm, ... */
export function limbOf(joint) {
  const name = NAMES[joint]
  const side = name.startsWith('left_') ? 'left_' : name.startsWith('right_') ? 'right_' : ''
  if (!side) return joint === 15 || joint === 12 ? 'neck' : 'trunk'
  return side + (/hip|knee|ankle|foot/.test(name) ? 'leg' : 'arm')
}

const NECK_REST = degrees(-T.rest[15][1], T.rest[15][2])
const FOOT_REST = angle(T.rest[7], T.rest[10])

/** The angles of a limb as [name, degrees, least, most], as `joint_angles` of 02_skeleton has them. */
export function limbAngles(flat, limb) {
  const side = limb.startsWith('right') ? 'right_' : limb.startsWith('left') ? 'left_' : ''
  const x = side === 'right_' ? mirrored(toVectors(flat)) : toVectors(flat)
  const axes = trunkAxes(x), bone = (a, b) => unit(sub(x[b], x[a]))
  const row = (part, name, value) => {
    const [least, most] = T.normal_ranges[part][name]
    return [`${side}${part} ${name}`, value, Math.min(least, Math.floor(value)), Math.max(most, Math.ceil(value))]
  }
  if (limb === 'trunk') {
    const [forward, aside] = forwardAndAside(chestSeen(axes)[2], 1)
    return [row('trunk', 'flexion', forward), row('trunk', 'bend', aside), row('trunk', 'twist', twistOf(axes))]
  }
  if (limb === 'neck') {
    const [forward, aside] = forwardAndAside(apply(axes.chest, bone(12, 15)), 1)
    return [row('neck', 'flexion', forward - NECK_REST), row('neck', 'bend', aside)]
  }
  if (limb.endsWith('arm')) {
    const [forward, aside] = forwardAndAside(apply(axes.chest, bone(16, 18)), -1)
    return [row('shoulder', 'flexion', forward), row('shoulder', 'abduction', aside),
            row('elbow', 'flexion', angle(bone(16, 18), bone(18, 20)))]
  }
  const [forward, aside] = forwardAndAside(apply(axes.pelvis, bone(1, 4)), -1)
  return [row('hip', 'flexion', forward), row('hip', 'abduction', aside),
          row('knee', 'flexion', angle(bone(1, 4), bone(4, 7))),
          row('ankle', 'flexion', angle(bone(4, 7), bone(7, 10)) - FOOT_REST)]
}

const turnRest = (x, joints, root, how) => { for (const j of joints) x[j] = add(x[root], how(sub(x[j], x[root]))) }

/** Bend what hangs on `middle` until it makes an angle with the bone above, about their hinge. */
function bendHinge(x, above, middle, joints, wanted, fallback) {
  const upper = unit(sub(x[middle], x[above])), lower = unit(sub(x[joints[0]], x[middle]))
  let axis = cross(upper, lower)
  if (norm(axis) < .05) axis = sub(fallback, scale(upper, dot(fallback, upper)))
  const by = wanted - angle(upper, lower)
  turnRest(x, joints, middle, v => turnBy(v, unit(axis), by))
}

/** The pose with one angle of a limb (a name of limbAngles) at a value in degrees, inside the limits. */
export function setAngle(flat, limb, name, value) {
  const right = limb.startsWith('right')
  const given = toVectors(flat), root = given[0]
  const centred = given.map(p => sub(p, root))
  let x = right ? mirrored(centred) : centred
  const lengths = lengthsOf(x)
  const sideless = n => n.replace(/^(left|right)_/, '')
  const axes = trunkAxes(x), what = sideless(name)
  const values = Object.fromEntries(limbAngles(toFlat(centred), limb).map(([n, v]) => [sideless(n), v]))
  values[what] = value
  const swingBone = (frame, joints, root, forward, aside, sign) => {
    const now = unit(sub(x[joints[0]], x[root]))
    const then = applyTransposed(frame, fromForwardAndAside(forward, aside, sign))
    turnRest(x, joints, root, v => turn(now, then, v))
  }
  if (limb === 'trunk') {
    const up = fromForwardAndAside(values['trunk flexion'], values['trunk bend'], 1)
    x = withChest(x, lengths, bentAndTwisted(axes.pelvis, up, values['trunk twist']))
  } else if (limb === 'neck') {
    swingBone(axes.chest, [15], 12, values['neck flexion'] + NECK_REST, values['neck bend'], 1)
  } else if (what.startsWith('shoulder')) {
    swingBone(axes.chest, [18, 20], 16, values['shoulder flexion'], values['shoulder abduction'], -1)
  } else if (what.startsWith('hip')) {
    swingBone(axes.pelvis, [4, 7, 10], 1, values['hip flexion'], values['hip abduction'], -1)
  } else if (what.startsWith('elbow')) {
    bendHinge(x, 16, 18, [20], value, scale(axes.chest[0], -1))
  } else if (what.startsWith('knee')) {
    const [, shin, toes] = legDirections(x, [1, 4, 7, 10])
    bendHinge(x, 1, 4, [7, 10], value, cross(toes, shin))
  } else {
    const [, shin, toes] = legDirections(x, [1, 4, 7, 10])
    bendHinge(x, 4, 7, [10], value + FOOT_REST, cross(shin, toes))
  }
  x = insideLimits(x, lengths)
  return toFlat((right ? x.map((_, j) => flip(x[MIRROR[j]])) : x).map(p => add(p, root)))
}
