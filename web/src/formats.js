// Files of poses, read and written in the browser. A pose is {prompt, joints (66 numbers, metres), score, …}.

import {canonical} from './enforce.js'
import {NAMES as JOINT_NAMES, PARENTS, REFERENCE_LENGTHS} from './skeleton.js'

export const MAX_BYTES = 5_000_000, MAX_POSES = 64
const MAX_METRES = 100
const MAX_FRAMES = 400_000, MAX_POINTS = 20_000_000, MAX_NUMBERS = 30_000_000  // as in 00c_mocap
const MIXAMO = (
  'Hips LeftUpLeg RightUpLeg Spine LeftLeg RightLeg Spine1 LeftFoot RightFoot Spine2 LeftToeBase RightToeBase ' +
  'Neck LeftShoulder RightShoulder Head LeftArm RightArm LeftForeArm RightForeArm LeftHand RightHand').split(' ')

const subtract = (a, b) => a.map((v, k) => v - b[k])
const add = (a, b) => a.map((v, k) => v + b[k])
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
const times = (s, a) => a.map(v => s * v)
const unit = v => times(1 / Math.max(Math.sqrt(dot(v, v)), 1e-9), v)
const at = (joints, j) => [joints[3 * j], joints[3 * j + 1], joints[3 * j + 2]]
const rounded = (v, digits) => Math.round(v * 10 ** digits) / 10 ** digits + 0

// ---------------------------------------------------------------- checks

export function checkSize(file) {  // before a byte is read
  if (file.size > MAX_BYTES) throw new Error(
    `${file.name} has ${(file.size / 1e6).toFixed(1)} MB; a file of poses has at most ${MAX_BYTES / 1e6} MB here`)
}

function checkJoints(joints, where) {
  const flat = Array.isArray(joints) ? joints.flat() : []
  if (flat.length !== 66 || !flat.every(v => typeof v === 'number'))
    throw new Error(`${where} is no pose: expected 22 × 3 numbers of metres`)
  const bad = flat.findIndex(v => !Number.isFinite(v))
  if (bad >= 0) throw new Error(`${where} holds a number that is not finite, at ${JOINT_NAMES[Math.floor(bad / 3)]}`)
  const farthest = Math.max(...flat.map(Math.abs))
  if (farthest > MAX_METRES) throw new Error(`${where} reaches ${farthest.toFixed(0)} metres; are these another unit?`)
  if (farthest < 1e-3) throw new Error(`${where} has all joints in one point`)
  return canonical(flat)
}

// ---------------------------------------------------------------- reading

// NaN and Infinity, which Python's json writes and JSON does not know, are told apart from broken files.
function parsed(text, name) {
  try { return JSON.parse(text) } catch (error) {
    if (/[:[,]\s*-?(NaN|Infinity)\b/.test(text)) throw new Error(`${name} holds NaN or infinite numbers`)
    throw new Error(`${name} is no JSON: ${error.message}`)
  }
}

function posesOfJson(content, name) {
  if (content?.people) return openPose(content, name)
  const isPose = v => Array.isArray(v) && v.length === 22
  const list = content?.poses ?? (content?.joints ? [content] : isPose(content) ? [{joints: content}] : content)
  if (!Array.isArray(list) || !list.length)
    throw new Error(
      `${name} is no file of poses: expected "poses", each with "joints" of 22 × 3 numbers, or OpenPose's "people"`)
  return list.slice(0, MAX_POSES).map((pose, k) => ({
    prompt: typeof pose?.prompt === 'string' ? pose.prompt : name,
    joints: checkJoints(pose?.joints ?? pose, `pose ${k + 1} of ${name}`)}))
}

// name → {joints, prompt} list; throws one sentence where the text is something else
export function readPoses(text, name) {
  const start = text.replace(/^\ufeff/, '').trimStart()
  if (/^HIERARCHY\b/i.test(start)) return posesOfBvh(start, name)
  if (/^[[{]/.test(start)) return posesOfJson(parsed(start, name), name)
  throw new Error(`${name} is neither JSON (ours or OpenPose's) nor BVH`)
}

// ---------------------------------------------------------------- OpenPose

const COCO18 = (
  'nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee ' +
  'right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear').split(' ')
const BODY25 = [...COCO18.slice(0, 8), 'mid_hip', ...COCO18.slice(8),
                ...['left', 'right'].flatMap(side => ['big_toe', 'small_toe', 'heel'].map(part => `${side}_${part}`))]
const LIMBS = [  // from, to, length on the reference body, which way it leans towards the viewer (1) or away (-1)
  ['neck', 'mid_hip', .5, 0], ...['left', 'right'].flatMap(side => [
    [`${side}_shoulder`, `${side}_elbow`, .2823, 1], [`${side}_elbow`, `${side}_wrist`, .2368, 1],
    [`${side}_hip`, `${side}_knee`, .4284, 1], [`${side}_knee`, `${side}_ankle`, .4381, -1]])]

function openPose(content, name) {
  if (!Array.isArray(content.people) || !content.people.length) throw new Error(`${name} shows no people`)
  return content.people.slice(0, MAX_POSES).map((person, k) => {
    const where = `person ${k + 1} of ${name}`, numbers = person?.pose_keypoints_2d
    const names = numbers?.length === 54 ? COCO18 : numbers?.length === 75 ? BODY25 : null
    if (!names || !numbers.every(v => typeof v === 'number' && Number.isFinite(v)))
      throw new Error(`${where} has no "pose_keypoints_2d" of 18 or 25 points, each x, y and confidence`)
    const points = new Map(names.flatMap((point, i) =>
      numbers[3 * i + 2] > 0 ? [[point, [numbers[3 * i], 0, -numbers[3 * i + 1]]]] : []))
    return {prompt: name, joints: checkJoints(lifted(points, where).flat(), where), isGuessed: true}
  })
}

// Points of a picture as 22 joints. How much shorter a limb is than it should be tells its depth; the side is a guess:
// arms and thighs come forward, shins go back (Taylor 2000).
function lifted(points, where) {
  const middle = (a, b) => points.has(a) && points.has(b) ? times(.5, add(points.get(a), points.get(b))) : null
  const hips = points.get('mid_hip') ?? middle('left_hip', 'right_hip')
  const neck = points.get('neck') ?? middle('left_shoulder', 'right_shoulder')
  if (!hips || !neck) throw new Error(`${where} lacks hips or shoulders`)
  points.set('mid_hip', hips).set('neck', neck)
  const seen = LIMBS.filter(([a, b]) => points.has(a) && points.has(b))
  const pixels = Math.max(...seen.map(([a, b, size]) => Math.hypot(...subtract(points.get(b), points.get(a))) / size))
  if (!(pixels > 1e-9)) throw new Error(`${where} has all points in one place`)
  const place = new Map([...points].map(([point, v]) => [point, times(1 / pixels, subtract(v, hips))]))
  const known = new Map([...place].filter(([point]) => !/_(elbow|wrist|knee|ankle)$/.test(point)))
  for (const [side, sign] of [['left', 1], ['right', -1]]) {  // what is not seen hangs and stands straight
    if (!known.has(`${side}_shoulder`)) known.set(`${side}_shoulder`, add(known.get('neck'), [.17 * sign, 0, 0]))
    if (!known.has(`${side}_hip`)) known.set(`${side}_hip`, [.09 * sign, 0, -.06])
  }
  for (const [from, to, size, lean] of LIMBS) {
    if (known.has(to)) continue
    const way = place.has(to) && place.has(from) ? subtract(place.get(to), place.get(from)) : [0, 0, -size]
    const depth = Math.sqrt(Math.max(size ** 2 - dot(way, way), 0))
    known.set(to, add(known.get(from), [way[0], -lean * depth, way[2]]))
  }
  const up = known.get('neck'), part = share => times(share, up)
  const chest = part(.62), head = known.has('nose') ? add(known.get('nose'), [0, 0, .02]) : part(1.2)
  const joints = {pelvis: [0, 0, 0], spine1: part(.2), spine2: part(.41), spine3: chest, neck: part(1), head}
  for (const side of ['left', 'right']) {
    for (const part of ['hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist'])
      joints[`${side}_${part}`] = known.get(`${side}_${part}`)
    joints[`${side}_collar`] = add(times(.45, known.get(`${side}_shoulder`)), times(.55, part(.85)))
    joints[`${side}_foot`] = add(joints[`${side}_ankle`], [0, -.12, -.06])
  }
  return JOINT_NAMES.map(joint => joints[joint])
}

const BODY_METRES = 4.2087  // all bones of the reference body
const FACE = {nose: [0, .115, .035], right_eye: [-.033, .085, .075], left_eye: [.033, .085, .075],
              right_ear: [-.075, .01, .05], left_ear: [.075, .01, .05]}
// which way the skin looks: left, forward; and the cosine to the camera below which it is hidden
const OUTWARD = {nose: [0, 1, -.2], right_eye: [-.42, .91, 0], left_eye: [.42, .91, 0],
                 right_ear: [-1, 0, -.35], left_ear: [1, 0, -.35]}

const NECK_TILT = Math.atan2(.2, .98), CROWN = .18, FINGERS = .17  // radians, metres

// Left, forward and up at right angles, leaned back by `tilt`; any that fit where a hint has no direction.
function axesFrom(up, left, tilt) {
  const u = dot(up, up) > 1e-12 ? unit(up) : [0, 0, 1]
  const aside = [left, [1, 0, 0], [0, 1, 0]].map(a => subtract(a, times(dot(a, u), u))).find(a => dot(a, a) > 1e-12)
  const l = unit(aside), forward = cross(l, u), c = Math.cos(tilt), s = Math.sin(tilt)
  return [l, add(times(c, forward), times(s, u)), subtract(times(c, u), times(s, forward))]
}

// A pose as OpenPose's JSON, 18 points, seen from the front by a camera far away.
export function toOpenPose({joints}, width = 512, height = 768, margin = .08) {
  const x = name => at(joints, JOINT_NAMES.indexOf(name)), points = {}
  const size = JOINT_NAMES.reduce((sum, _, j) =>
    sum + (j ? Math.hypot(...subtract(at(joints, j), at(joints, PARENTS[j]))) : 0), 0) / BODY_METRES
  const shoulders = unit(subtract(x('left_shoulder'), x('right_shoulder')))
  const [left, forward, up] = axesFrom(subtract(x('head'), x('neck')), shoulders, NECK_TILT)
  for (const name of COCO18) {
    if (name === 'neck') points[name] = times(.5, add(x('left_shoulder'), x('right_shoulder')))
    else if (name in FACE) {
      const [a, b, c] = times(size, FACE[name])
      points[name] = add(x('head'), add(times(a, left), add(times(b, forward), times(c, up))))
    } else points[name] = x(name)
  }
  const isSeen = name => {
    if (!(name in OUTWARD)) return true
    const [side, front, hidden] = OUTWARD[name]
    return -side * left[1] - front * forward[1] > hidden
  }
  const fingers = ['left', 'right'].map(side => {
    const wrist = x(`${side}_wrist`)
    return add(wrist, times(size * FINGERS, unit(subtract(wrist, x(`${side}_elbow`)))))
  })
  const all = [...Object.values(points), ...JOINT_NAMES.map(x), ...fingers, add(x('head'), times(size * CROWN, up))]
  const range = axis => [Math.min(...all.map(p => p[axis])), Math.max(...all.map(p => p[axis]))]
  const [low, high] = range(0), [bottom, top] = range(2), free = margin * Math.min(width, height)
  const scale = Math.min((width - 2 * free) / (high - low), (height - 2 * free) / (top - bottom))
  const numbers = COCO18.flatMap(name => isSeen(name) ? [
    rounded((points[name][0] - (low + high) / 2) * scale + width / 2, 2),
    rounded(((top + bottom) / 2 - points[name][2]) * scale + height / 2, 2), 1] : [0, 0, 0])
  const lists = ['face_keypoints_2d', 'hand_left_keypoints_2d', 'hand_right_keypoints_2d', 'pose_keypoints_3d',
                 'face_keypoints_3d', 'hand_left_keypoints_3d', 'hand_right_keypoints_3d']
  const person = {person_id: [-1], pose_keypoints_2d: numbers, ...Object.fromEntries(lists.map(list => [list, []]))}
  return JSON.stringify({version: 1.3, canvas_width: width, canvas_height: height, people: [person]}, null, 1) + '\n'
}

// ---------------------------------------------------------------- our JSON

const FRAME = {
  unit: 'metre',
  axes: 'right-handed, Z up, pelvis at the origin, the subject faces -Y, +X is the left of the subject',
  joint_names: JOINT_NAMES, parents: PARENTS}

export function toJson(poses, about = {}) {
  const entry = ({prompt, joints, score}) => ({
    prompt, score: score === undefined ? null : rounded(score, 4),
    joints: JOINT_NAMES.map((_, j) => at(joints, j).map(v => rounded(v, 5)))})
  return JSON.stringify({format: 'text2pose poses/1', ...FRAME, ...about, poses: poses.map(entry)}) + '\n'
}

// ---------------------------------------------------------------- BVH

const TIPS = {10: [0, -.06, 0], 11: [0, -.06, 0], 15: [0, 0, .18], 20: [.17, 0, 0], 21: [-.17, 0, 0]}
const T_POSE = {18: [1, 0, 0], 19: [-1, 0, 0], 20: [1, 0, 0], 21: [-1, 0, 0]}
const yUp = ([x, y, z]) => [x, z, -y], zUp = ([x, y, z]) => [x, -z, y]
const children = j => PARENTS.flatMap((parent, k) => parent === j ? [k] : [])
const multiply = (A, B) => A.map(row => [0, 1, 2].map(c => row[0] * B[0][c] + row[1] * B[1][c] + row[2] * B[2][c]))
const transposed = A => [0, 1, 2].map(c => A.map(row => row[c]))
const apply = (A, v) => A.map(row => dot(row, v))
const IDENTITY = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]

function shortestTurn(a, b) {  // the rotation that takes unit vector a to unit vector b
  const axis = cross(a, b), c = dot(a, b)
  if (c < -1 + 1e-9) {  // half a turn, about any axis across
    const other = unit(cross(a, Math.abs(a[0]) < .9 ? [1, 0, 0] : [0, 1, 0]))
    return IDENTITY.map((row, i) => row.map((v, k) => 2 * other[i] * other[k] - v))
  }
  const [x, y, z] = axis, K = [[0, -z, y], [z, 0, -x], [-y, x, 0]], K2 = multiply(K, K)
  return IDENTITY.map((row, i) => row.map((v, k) => v + K[i][k] + K2[i][k] / (1 + c)))
}

function axesOf(left, up) {  // a rotation from where left and up are: its columns are left, back and up
  const back = unit(cross(up, left))
  return transposed([cross(back, unit(up)), back, unit(up)])
}

// Rotations of the joints, in the world, of a pose whose pelvis and chest are rigid.
function rotations(joints, rest) {
  const x = j => at(joints, j), R = []
  const hips = add(x(1), x(2)), chest = add(x(12), add(x(13), x(14)))
  R[0] = axesOf(subtract(x(1), x(2)), subtract(times(2, x(3)), hips))
  R[9] = axesOf(subtract(x(13), x(14)), subtract(chest, times(3, x(9))))
  for (let j = 1; j < 22; j++) {
    if (j === 9) continue
    const parent = R[PARENTS[j]], [child] = children(j)
    if (child === undefined) { R[j] = parent; continue }
    const there = unit(apply(parent, rest[child])), wanted = unit(subtract(x(child), x(j)))
    R[j] = multiply(shortestTurn(there, wanted), parent)
  }
  return R
}

function eulerZXY(R) {  // degrees
  const x = Math.asin(Math.min(Math.max(R[2][1], -1), 1))
  return [Math.atan2(-R[0][1], R[1][1]), x, Math.atan2(-R[2][0], R[2][2])].map(v => v * 180 / Math.PI)
}

const TURN = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]  // our axes → those of the file

// Poses on the reference body as the text of a BVH file: Y up, facing +Z, metres; its hierarchy is a T-pose.
export function toBvh(poses, body, fps = 20) {
  const rest = body.rest.map((v, j) => T_POSE[j] ?? v), lines = ['HIERARCHY'], order = []
  const number = v => (Math.abs(v) < 5e-7 ? 0 : v).toFixed(6), line = v => v.map(number).join(' ')
  const write = (j, indent) => {
    const offset = j ? yUp(times(body.lengths[j], unit(rest[j]))) : [0, 0, 0]
    lines.push(`${indent}${j ? 'JOINT' : 'ROOT'} ${JOINT_NAMES[j]}`, `${indent}{`, `${indent}  OFFSET ${line(offset)}`)
    lines.push(`${indent}  CHANNELS ${j ? 3 : '6 Xposition Yposition Zposition'} Zrotation Xrotation Yrotation`)
    order.push(j)
    children(j).forEach(child => write(child, indent + '  '))
    if (TIPS[j]) lines.push(...['  End Site', '  {', `    OFFSET ${line(yUp(TIPS[j]))}`, '  }'].map(v => indent + v))
    lines.push(`${indent}}`)
  }
  write(0, '')
  lines.push('MOTION', `Frames: ${poses.length}`, `Frame Time: ${(1 / fps).toFixed(8)}`)
  for (const {joints} of poses) {
    const R = rotations(joints, rest), lowest = Math.min(...JOINT_NAMES.map((_, j) => joints[3 * j + 2] - joints[2]))
    const turns = order.map(j => {
      const own = j ? multiply(transposed(R[PARENTS[j]]), R[j]) : R[j]
      return line(eulerZXY(multiply(multiply(TURN, own), transposed(TURN))))
    })
    lines.push(`${line(yUp([0, 0, -lowest]))} ${turns.join(' ')}`)
  }
  return lines.join('\n') + '\n'
}

// ---------------------------------------------------------------- reading BVH

const AXES = {X: 0, Y: 1, Z: 2}

function axisRotation(axis, angle) {
  const c = Math.cos(angle * Math.PI / 180), s = Math.sin(angle * Math.PI / 180), R = IDENTITY.map(row => row.slice())
  const [a, b] = [(axis + 1) % 3, (axis + 2) % 3]
  R[a][a] = R[b][b] = c
  R[a][b] = -s
  R[b][a] = s
  return R
}

function hierarchy(tokens, name) {  // joints of a BVH with parent, offset and channels
  const joints = []
  let current = -1, k = 1
  const stack = []
  const broken = () => new Error(`${name} is no BVH: its hierarchy is broken at "${tokens[k] ?? 'the end'}"`)
  for (; tokens[k] !== undefined && tokens[k].toUpperCase() !== 'MOTION'; k++) {
    const word = tokens[k].toUpperCase()
    if (word === 'ROOT' || word === 'JOINT' || word === 'END') {
      if (!tokens[k + 1]) throw broken()
      const own = word === 'END' ? null : tokens[k + 1].replace(/^.*:/, '')
      joints.push({name: own, parent: current, offset: [0, 0, 0], channels: []})
      k++
    } else if (word === '{') {
      stack.push(current)
      current = joints.length - 1
    } else if (word === '}') {
      if (!stack.length) throw broken()
      current = stack.pop()
    } else if (!joints.length) throw broken()
    else if (word === 'OFFSET') {
      joints[joints.length - 1].offset = [1, 2, 3].map(i => Number(tokens[k + i]))
      k += 3
    } else if (word === 'CHANNELS') {
      const n = Number(tokens[k + 1])
      joints[joints.length - 1].channels = tokens.slice(k + 2, k + 2 + n)
      k += 1 + n
    } else throw broken()
    if (joints.length > 1000) throw broken()
  }
  if (tokens[k] === undefined || joints.some(({offset}) => !offset.every(Number.isFinite))) throw broken()
  return joints
}

function placesOf(joints, values) {  // where the joints of a frame are
  let at = 0
  const world = []
  for (const {parent, offset, channels} of joints) {
    let R = IDENTITY, moved = offset.slice()
    if (channels.some(channel => /position/i.test(channel))) moved = [0, 0, 0]
    for (const channel of channels) {
      const axis = AXES[channel[0].toUpperCase()], value = values[at++]
      if (/position/i.test(channel)) moved[axis] = value
      else R = multiply(R, axisRotation(axis, value))
    }
    const up = world[parent]
    world.push(up ? {place: add(up.place, apply(up.R, moved)), R: multiply(up.R, R)} : {place: moved, R})
  }
  return world.map(({place}) => place)
}

// Rows of numbers of the MOTION part, by the rules and in the words of `read_bvh`.
function framesOf(lines, joints, width, name) {
  const start = lines.findIndex(line => /^\s*MOTION\b/i.test(line))
  const part = lines.map((line, i) => ({words: line.trim().split(/\s+/), at: `${name}, line ${i + 1}`}))
    .slice(start + 1).filter(({words}) => words[0] && !words[0].startsWith('#'))
  const [count, time, ...rows] = part
  const declared = count?.words.length === 2 && /^frames:$/i.test(count.words[0]) ? count.words[1] : 'nothing'
  if (!/^\d+$/.test(declared) || Number(declared) < 1) throw new Error(
    `${count?.at ?? name}: Frames must be a whole number of at least 1, found '${declared.slice(0, 20)}'`)
  if (!/^frame time:/i.test(time?.words.join(' ') ?? '')) throw new Error(`${time?.at ?? name}: expected Frame Time:`)
  const tooMany = [['frames', MAX_FRAMES, 1], [`frames of ${joints} joints`, MAX_POINTS, joints],
    [`frames of ${width} numbers`, MAX_NUMBERS, width]].find(([, most, each]) => declared * each > most)
  if (tooMany) throw new Error(
    `${count.at}: ${Number(declared).toLocaleString('en-US')} ${tooMany[0]} are too many; split the file`)
  const total = rows.reduce((sum, {words}) => sum + words.length, 0)
  const odd = rows.find(({words}) => words.length !== width)
  const isSpread = total % width === 0 && rows.every(({words}) => words.length < width)
  if (odd && !isSpread && total !== width * Number(declared))
    throw new Error(`${odd.at}: a frame has ${width} numbers, found ${odd.words.length}`)
  const n = Math.floor(total / width)
  if (!n || Math.abs(n - declared) > Math.max(1, Math.floor(n / 100)))
    throw new Error(`${count.at}: ${declared} frames declared, ${n} present`)
  const numbers = rows.flatMap(({words, at}) => words.map(word => {
    if (Number.isFinite(Number(word))) return Number(word)
    throw new Error(`${at}: expected a number that is finite, found '${word.slice(0, 20)}'`)
  }))
  return Array.from({length: n}, (_, frame) => numbers.slice(frame * width, frame * width + width))
}

/** What a length of the file is to be multiplied by: no other unit makes it a person. */
function metreOf(x) {
  const bones = x.slice(1).map((p, i) => Math.hypot(...subtract(p, x[PARENTS[i + 1]])))
  const size = bones.reduce((a, b) => a + b) / REFERENCE_LENGTHS.reduce((a, b) => a + b)
  return size < 10 ? 1 : size < 300 ? .01 : .001
}

function posesOfBvh(text, name) {
  const joints = hierarchy(text.split(/\s+/), name)
  const bare = joints.map(joint => joint.name?.replace(/^mixamorig\d*_?/i, ''))
  const names = [JOINT_NAMES, MIXAMO].find(list => list.every(joint => bare.includes(joint)))
  if (!names) throw new Error(
    `${name} has other joints than ours or Mixamo's; "text2pose convert" on a computer knows more skeletons`)
  const places = names.map(joint => bare.indexOf(joint))
  const width = joints.reduce((sum, {channels}) => sum + channels.length, 0)
  const frames = framesOf(text.split(/\r\n|\r|\n/), joints.length, width, name).slice(0, MAX_POSES)
  const bodies = frames.map(values => {
    const world = placesOf(joints, values)
    return places.map(k => subtract(world[k], world[places[0]])).map(zUp)
  })
  const metre = metreOf(bodies[0])
  return bodies.map((x, i) => {
    const where = bodies.length > 1 ? `frame ${i + 1} of ${name}` : name
    return {prompt: where, joints: checkJoints(x.map(v => times(metre, v)).flat(), where)}
  })
}
