// node skeleton.mjs FILE: what web/src makes of the poses and drags of a JSON file, as JSON
import fs from 'node:fs'
import {bodyCapsules} from '../../web/src/body.js'
import {drag, keepLimits, limbAngles, mirrorPose, reach, setAngle, violations} from '../../web/src/skeleton.js'

const {poses, drags, hard, angles} = JSON.parse(fs.readFileSync(process.argv[2]))
const plain = values => Array.from(values)
console.log(JSON.stringify({
  reached: drags.map(({pose, targets}) => plain(reach(poses[pose], new Map(targets)))),
  hard: hard.map(({pose, joint, to, pinned}) => plain(drag(poses[pose], joint, to, pinned))),
  nowhere: [NaN, Infinity].map(v => plain(drag(poses[0], 20, [0, v, 0]))),
  crouched: plain(drag(poses[0], 0, [.02, 0, -.15], [20])),
  capsules: poses.map(pose => plain(bodyCapsules(pose))),
  violations: poses.map(violations),
  inside: poses.map(pose => plain(keepLimits(pose))),
  mirrored: poses.map(pose => plain(mirrorPose(pose))),
  angles: poses.map(pose => ['trunk', 'neck', 'left_arm', 'right_arm', 'left_leg', 'right_leg'].flatMap(limb =>
    limbAngles(pose, limb).map(([name, value]) => [name, value]))),
  set: angles.map(([pose, limb, name, value]) => plain(setAngle(poses[pose], limb, name, value))),
}))
