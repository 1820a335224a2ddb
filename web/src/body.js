// The body that is drawn: capsules of the tables of 00_data, from joints.
import {body_colors, body_metres, body_parts, body_points, parents, tree} from './skeleton_data.js'
import {NAMES, toVectors} from './skeleton.js'
import {add, applyTransposed, clip, cross, dot, norm, scale, sub, turn, unit} from './vector.js'

const SOLE = .033, FINGERTIP = .018
const NECK_TILT = Math.atan2(.2, .98), FOOT_TILT = Math.atan2(.42, .9)
const SPINE = tree.trunk.map(j => NAMES[j])
const FINGERS = body_points.find(([name]) => name === 'fingers').at(-1)

/** Rows left, forward, up at right angles, leaned back by radians; any that fit where a hint has no direction. */
function axesOf(up, left, tilt = 0) {
  const u = norm(up) > 1e-6 ? unit(up) : [0, 0, 1]
  const l = [left, [1, 0, 0], [0, 1, 0]].map(v => sub(v, scale(u, dot(u, v)))).find(v => norm(v) > 1e-6)
  const row = unit(l), forward = cross(row, u)
  const c = Math.cos(tilt), s = Math.sin(tilt)
  return [row, add(scale(forward, c), scale(u, s)), sub(scale(u, c), scale(forward, s))]
}

function jointAxes(at) {
  const across = part => unit(sub(at[`left_${part}`], at[`right_${part}`]))
  const hips = across('hip'), shoulders = across('shoulder'), axes = {}
  SPINE.slice(0, -1).forEach((name, i) => {
    const share = Math.min(i / 3, 1)
    const left = add(scale(hips, 1 - share), scale(shoulders, share))
    axes[name] = axesOf(sub(at[SPINE[i + 1]], at[SPINE[Math.max(i - 1, 0)]]), left)
  })
  axes.head = axesOf(sub(at.head, at.neck), shoulders, NECK_TILT)
  for (const side of ['left', 'right']) {
    const [knee, ankle, foot, elbow, wrist] = ['knee', 'ankle', 'foot', 'elbow', 'wrist'].map(n => at[`${side}_${n}`])
    const left = add(cross(unit(sub(knee, ankle)), unit(sub(foot, ankle))), scale(hips, .1))
    axes[`${side}_knee`] = axesOf(sub(knee, ankle), left)
    axes[`${side}_ankle`] = axes[`${side}_foot`] = axesOf(cross(sub(foot, ankle), left), left, FOOT_TILT)
    axes[`${side}_wrist`] = axesOf(sub(wrist, elbow), shoulders)
  }
  return axes
}

/** Bend wrists so that no fingertip goes through the floor, which is under the lowest other joint. */
function layHandsDown(at, axes, size) {
  const floor = Math.min(...NAMES.map(n => at[n][2])) - size * SOLE
  const reach = size * FINGERS
  for (const wrist of ['left_wrist', 'right_wrist']) {
    const [left, , along] = axes[wrist]
    const lowest = clip((floor + size * FINGERTIP - at[wrist][2]) / reach, -1, 1)
    if (along[2] >= lowest) continue
    const chest = axes.spine3[1]
    const level = unit([along[0] + 1e-6 * chest[0], along[1] + 1e-6 * chest[1], 0])
    axes[wrist] = axesOf(add(scale(level, Math.sqrt(1 - lowest ** 2)), [0, 0, lowest]), left)
  }
}

// what the smaller pictures of 00_data leave out: thumbs (along the forearm, aside, radius), brows and a mouth; metres
const THUMB = [[.035, .022, .016], [.085, .05, .0105]]
const POINTS = [...body_points, ['brow', 'head', .018, .0885, .094], ['temple', 'head', .047, .077, .093],
                ['lip', 'head', 0, .1025, .014], ['mouth', 'head', .016, .0985, .018]]
const TABLE = [...body_parts, ['*_thumb0', '*_thumb1', THUMB[0][2], THUMB[1][2], '*_end'],
               ['*_brow', '*_temple', .006, .005, 'hair'], ['lip', '*_mouth', .0045, .004, 'lips']]
const COLORS = {...body_colors, lips: '#b5695c'}

/** Thumbs point as they do when a hanging arm, thumb forward, is lifted the shortest way. */
function addThumbs(at, axes, size) {
  const [, forward, up] = axes.spine3
  for (const side of ['left', 'right']) {
    const along = axes[`${side}_wrist`][2]
    const across = turn(scale(up, -1), along, forward)
    const aside = unit(sub(across, scale(along, dot(across, along))))
    THUMB.forEach(([ahead, out], i) => {
      at[`${side}_thumb${i}`] = add(at[`${side}_wrist`], add(scale(along, size * ahead), scale(aside, size * out)))
    })
  }
}

const PARTS = TABLE.flatMap(([a, b, ra, rb, color]) =>
  ((a + b).includes('*') ? ['left', 'right'] : ['']).map(side => {
    const of = name => name.replace('*', side)
    return {a: of(a), b: of(b), ra, rb, color: of(color)}
  }))

export const N_PARTS = PARTS.length
export const PART_COLORS = PARTS.map(part => COLORS[part.color])
/** Metres away from the eye, so that of surfaces that nearly coincide always the same one is seen. */
export const PART_DEPTHS = PARTS.map(part => ({hips: -.008, chest: .008}[part.color] ?? 0))

/** Capsules of a pose as 8 numbers each: end, radius, end, radius; metres, Z up. */
export function bodyCapsules(flat) {
  const x = toVectors(flat)
  const at = Object.fromEntries(NAMES.map((name, j) => [name, x[j]]))
  const axes = jointAxes(at)
  const total = x.slice(1).reduce((sum, p, i) => sum + norm(sub(p, x[parents[i + 1]])), 0)
  const size = clip(total / body_metres, .5, 2)
  layHandsDown(at, axes, size)
  for (const [name, joint, out, ahead, up] of POINTS) {
    const paired = out > 0 || !(joint in axes)
    for (const [side, sign] of paired ? [['left_', 1], ['right_', -1]] : [['', 1]]) {
      const on = joint in axes ? joint : side + joint
      at[side + name] = add(at[on], applyTransposed(axes[on], scale([sign * out, ahead, up], size)))
    }
  }
  addThumbs(at, axes, size)
  const out = new Float32Array(8 * N_PARTS)
  PARTS.forEach(({a, b, ra, rb}, i) => out.set([...at[a], size * ra, ...at[b], size * rb], 8 * i))
  return out
}

/** Height of the lowest point of the skin. */
export function lowest(capsules) {
  let low = Infinity
  for (let i = 0; i < capsules.length; i += 4) low = Math.min(low, capsules[i + 2] - capsules[i + 3])
  return low
}
