// The entry of the anywidget: traits of PoseView in Python on one side, a PoseEditor on the other.
import {PoseEditor} from './editor.js'
import {NAMES} from './skeleton.js'

export {PoseEditor} from './editor.js'
export {PoseScene} from './scene.js'
export * as skeleton from './skeleton.js'

const SEND_EVERY = 60 // milliseconds between poses sent while something is dragged

/** Numbers of a binary trait: a DataView, or whatever else a front end makes of bytes. */
function numbers(value) {
  if (!value?.byteLength) return new Float32Array(0)
  const buffer = value.buffer ?? value, start = value.byteOffset ?? 0
  return new Float32Array(buffer.slice(start, start + value.byteLength))
}
const bytes = array => new DataView(Float32Array.from(array).buffer)
const jointsNamed = names => names.map(name => NAMES.indexOf(name)).filter(j => j >= 0)

function render({model, el}) {
  const set = values => {
    for (const [name, value] of Object.entries(values)) model.set(name, value)
    model.save_changes()
  }
  let sent = null, timer = null
  const send = (poses, names) => {
    clearTimeout(timer)
    timer = null
    sent = poses
    set({joints: bytes(poses), names})
  }
  const gone = 'The kernel is gone: the view can be turned, dragged and copied, but nothing reaches Python.'
  const tell = (content, buffers) => {
    try { model.send(content, undefined, buffers) } catch { editor.setMessage(gone) }
  }
  const editor = new PoseEditor(el, {
    editable: model.get('editable'),
    onEdit: (poses, done, names) => {
      sent = poses
      if (done) send(poses, names)
      else timer ??= setTimeout(() => send(sent, names), SEND_EVERY)
    },
    onSelect: (pose, joint) => set({selected: pose, joint: joint === null ? '' : NAMES[joint]}),
    onPin: joints => set({pinned: joints.map(j => NAMES[j])}),
    onCamera: camera => set({camera}),
    onFrame: frame => set({frame}),
    onRequest: request => tell({type: 'request', ...request}),
    onFile: (name, buffer) => tell({type: 'file', name}, [buffer]),
  })
  const poses = () => {
    const found = numbers(model.get('joints'))
    const ours = sent && found.length === sent.length && found.every((v, i) => v === sent[i])
    if (!ours && !editor.held) editor.setPoses(found, model.get('names'))
  }
  const from = {
    joints: poses,
    names: () => editor.setNames(model.get('names')),
    ghosts: () => editor.setGhosts(numbers(model.get('ghosts'))),
    frames: () => editor.setFrames(numbers(model.get('frames'))),
    frame: () => {
      const frame = model.get('frame')
      if (frame !== (editor.frame ?? -1)) editor.showFrame(frame < 0 ? null : frame, false)
    },
    fps: () => { editor.fps = model.get('fps') },
    selected: () => select(),
    joint: () => select(),
    pinned: () => editor.setPinned(jointsNamed(model.get('pinned'))),
    camera: () => editor.scene.setCamera(model.get('camera')),
    editable: () => editor.setEditable(model.get('editable')),
    requests: () => editor.setRequests(model.get('requests')),
    message: () => editor.setMessage(model.get('message')),
    height: () => editor.root.style.setProperty('--t2p-height', `${model.get('height')}px`),
  }
  const select = () => editor.select(model.get('selected'), jointsNamed([model.get('joint')])[0] ?? null, false)
  from.height()
  for (const [name, update] of Object.entries(from)) {
    if (name !== 'frame') update()
    model.on(`change:${name}`, update)
  }
  const heard = ({type, text}) => { if (type === 'message') editor.setMessage(text) }
  model.on('msg:custom', heard)
  function lived() { if (this?.comm_live === false) editor.setMessage(gone) }
  model.on('comm_live_update', lived)
  el.editor = editor
  return () => {
    clearTimeout(timer)
    for (const [name, update] of Object.entries(from)) model.off(`change:${name}`, update)
    model.off('msg:custom', heard)
    model.off('comm_live_update', lived)
    editor.dispose()
  }
}

export default {render}
