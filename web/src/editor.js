// A scene with controls: views, playback, selection, dragging, pins, undo, sliders, copy and paste, files.
// Used by the widget (a Python kernel behind it) and by the page without a server.
import './editor.css'
import {PoseScene, VIEWS} from './scene.js'
import {drag, DRAGGABLE, dragged, keepLimits, limbAngles, limbOf, N_JOINTS, NAMES, setAngle} from './skeleton.js'

const FLAT = 3 * N_JOINTS
const MOST_UNDO = 100
const MOST_BYTES = 20e6         // of a dropped file
const STEP = .01, BIG_STEP = .05 // metres that an arrow key moves a joint
const WAYS = {ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0],
              PageUp: [0, 0, -1], PageDown: [0, 0, 1]}
const VIEW_KEYS = {0: 'three-quarter', 1: 'front', 2: 'side', 3: 'top', 4: 'behind'}
const HELP = [
  ['drag the background, arrows', 'turn'],
  ['wheel, pinch, + −', 'zoom'],
  ['shift-drag, two fingers', 'move the camera'],
  ['0 1 2 3 4', 'three-quarter, front, side, top, behind'],
  ['drag a dot', 'move a joint, the body follows'],
  ['N, shift-N', 'select the next joint, the one before'],
  ['arrows, PageUp, PageDown', 'move the selected joint by 1 cm; with shift 5 cm'],
  ['P', 'pin the selected joint'],
  ['Ctrl-Z, Ctrl-Shift-Z', 'undo, redo'],
  ['Ctrl-C, Ctrl-V', 'copy and paste the pose as JSON'],
  ['space', 'play'],
  ['Esc', 'select nothing'],
]
const spoken = name => name.replace('_', ' ')

/** Poses of our JSON, or of a bare 22 x 3 array; an Error of one sentence otherwise. */
export function posesOfJSON(text) {
  let found
  try { found = JSON.parse(text) } catch { throw new Error('This is not JSON, so no pose can be read from it.') }
  const list = Array.isArray(found?.poses) ? found.poses : [{joints: found?.joints ?? found}]
  const names = list.map(p => String(p?.prompt ?? p?.name ?? ''))
  const flat = list.flatMap(p => Array.isArray(p?.joints) ? p.joints.flat(2) : [NaN])
  const good = list.length && flat.length === FLAT * list.length
  if (!good || !flat.every(Number.isFinite)) {
    throw new Error('No pose is in this JSON: expected "poses", each with "joints" of 22 × 3 numbers.')
  }
  return {poses: Float32Array.from(flat), names}
}

/** Poses as our JSON. */
export function jsonOfPoses(poses, names) {
  const rows = names.map((name, i) => ({
    joints: Array.from({length: N_JOINTS}, (_, j) =>
      Array.from(poses.slice(FLAT * i + 3 * j, FLAT * i + 3 * j + 3), v => Math.round(v * 1e5) / 1e5)),
    prompt: name,
  }))
  const about = {format: 'text2pose poses/1', unit: 'metre', up: 'Z', faces: '-Y', joint_names: NAMES}
  return JSON.stringify({...about, poses: rows})
}

/**
 * options: editable; onEdit(poses, done, names), onSelect(pose, joint), onPin(joints), onCamera(camera), onFrame(i),
 * onHover(pose, joint), onRequest({kind, pose, words, strength}), onFile(name, ArrayBuffer).
 */
export class PoseEditor {
  constructor(element, options = {}) {
    this.options = options
    this.poses = new Float32Array(0)
    this.names = []
    this.active = 0
    this.joint = null
    this.pinned = new Set()
    this.frames = null
    this.frame = null
    this.fps = 8
    this.past = []
    this.future = []
    this.requests = []
    this.root = document.createElement('div')
    this.root.className = 't2p-view'
    element.appendChild(this.root)
    this.buildBar()
    this.scene = new PoseScene(this.root, {
      onHover: options.onHover, onCamera: options.onCamera,
      onSelect: (pose, joint) => this.select(pose, joint), onDrag: (...args) => this.dragged(...args),
    })
    this.buildPlayer()
    this.buildPanel()
    this.buildRequests()
    this.status = this.make('div', 't2p-status', this.root)
    this.status.setAttribute('role', 'status')
    this.buildHelp()
    this.listen()
    this.setEditable(Boolean(options.editable))
  }

  get n() { return this.poses.length / FLAT }

  make(tag, name, parent, text = '') {
    const element = document.createElement(tag)
    element.className = name
    element.textContent = text
    parent.appendChild(element)
    return element
  }

  button(parent, text, title, does) {
    const button = this.make('button', 't2p-button', parent, text)
    button.type = 'button'
    button.title = title
    button.addEventListener('click', does)
    return button
  }

  buildBar() {
    const bar = this.make('div', 't2p-bar', this.root)
    const group = () => this.make('div', 't2p-group', bar)
    const views = group()
    for (const [key, name] of Object.entries(VIEW_KEYS)) {
      const label = name === 'three-quarter' ? '¾' : name[0].toUpperCase() + name.slice(1)
      if (name !== 'behind') this.button(views, label, `${name} view (${key})`, () => this.scene.setView(name))
    }
    this.editGroup = group()
    this.undoButton = this.button(this.editGroup, '↶', 'Undo (Ctrl-Z)', () => this.undo())
    this.redoButton = this.button(this.editGroup, '↷', 'Redo (Ctrl-Shift-Z)', () => this.redo())
    const pin = 'Hold the selected joint where it is (P)'
    this.pinButton = this.button(this.editGroup, 'Pin', pin, () => this.togglePin())
    this.button(this.editGroup, 'Limits', 'Bring the pose inside its joint limits', () => this.inside())
    const files = group()
    this.button(files, 'Copy', 'Copy the pose as JSON (Ctrl-C)', () => this.copy())
    this.pasteButton = this.button(files, 'Paste', 'Paste a pose from JSON (Ctrl-V)', () => this.paste())
    const open = 'Open a file of poses: JSON, OpenPose JSON or BVH'
    this.openButton = this.button(files, 'Open…', open, () => this.input.click())
    this.button(group(), '?', 'Keys', () => { this.help.hidden = !this.help.hidden })
    this.input = this.make('input', 't2p-hidden', bar)
    this.input.type = 'file'
    this.input.accept = '.json,.bvh,.npz,.npy,.glb'
    this.input.setAttribute('aria-label', 'file of poses')
    this.input.addEventListener('change', () => {
      this.readFiles(this.input.files)
      this.input.value = ''
    })
  }

  buildPlayer() {
    this.player = this.make('div', 't2p-player', this.root)
    this.playButton = this.button(this.player, '▶', 'Play (space)', () => this.togglePlay())
    this.slider = this.make('input', 't2p-range', this.player)
    Object.assign(this.slider, {type: 'range', min: 0, max: 0, value: 0})
    this.slider.setAttribute('aria-label', 'denoising step')
    this.slider.addEventListener('input', () => {
      const wanted = Number(this.slider.value)
      this.pause()
      this.showFrame(wanted)
    })
    this.frameLabel = this.make('span', 't2p-count', this.player)
    this.player.hidden = true
  }

  buildPanel() {
    this.panel = this.make('div', 't2p-panel', this.root)
    const head = this.make('div', 't2p-head', this.panel)
    this.jointSelect = this.make('select', 't2p-select', head)
    this.jointSelect.setAttribute('aria-label', 'joint')
    this.jointSelect.appendChild(new Option('choose a joint', ''))
    for (const j of DRAGGABLE) this.jointSelect.appendChild(new Option(spoken(NAMES[j]), j))
    this.jointSelect.addEventListener('change', () => {
      this.select(this.active, this.jointSelect.value === '' ? null : Number(this.jointSelect.value))
    })
    this.modes = ['angles', 'position'].map(mode => {
      const button = this.button(head, mode, `Show ${mode} of what is selected`, () => this.setMode(mode))
      button.dataset.mode = mode
      return button
    })
    this.mode = 'angles'
    this.rows = this.make('div', 't2p-rows', this.panel)
  }

  buildRequests() {
    this.asks = this.make('div', 't2p-asks', this.root)
    const anew = 'Keep the pinned joints, make the others anew'
    this.regenerate = this.button(this.asks, 'Regenerate the rest', anew, () => this.request({kind: 'regenerate'}))
    this.wordsBox = this.make('span', 't2p-words', this.asks)
    this.words = this.make('input', 't2p-text', this.wordsBox)
    Object.assign(this.words, {type: 'text', placeholder: 'a bit lower, left hand on the hip', maxLength: 10000})
    this.words.setAttribute('aria-label', 'words')
    this.strength = this.make('input', 't2p-range', this.wordsBox)
    Object.assign(this.strength, {type: 'range', min: .05, max: 1, step: .05, value: .5})
    this.strength.setAttribute('aria-label', 'strength')
    const shown = this.make('span', 't2p-count', this.wordsBox)
    const show = () => { shown.textContent = `strength ${Number(this.strength.value).toFixed(2)}` }
    this.strength.addEventListener('input', show)
    show()
    const ask = () => this.request({kind: 'words', words: this.words.value, strength: Number(this.strength.value)})
    this.changeButton = this.button(this.wordsBox, 'Change by words', 'Change this pose as the words say', ask)
    this.words.addEventListener('keydown', e => { if (e.key === 'Enter') ask() })
    this.setRequests([])
  }

  buildHelp() {
    this.help = this.make('div', 't2p-help', this.root)
    this.help.hidden = true
    for (const [keys, what] of HELP) {
      const row = this.make('div', 't2p-keys', this.help)
      this.make('b', '', row, keys)
      this.make('span', '', row, what)
    }
    this.help.addEventListener('click', () => { this.help.hidden = true })
  }

  // what is shown

  /** Other poses, from outside. */
  setPoses(poses, names = this.names) {
    const same = poses.length === this.poses.length && poses.every((v, i) => v === this.poses[i])
    if (!same && this.editable && this.poses.length) this.remember()
    this.poses = Float32Array.from(poses)
    this.names = names
    if (same) this.scene.setNames(names)
    else this.show()
    this.select(Math.min(this.active, Math.max(this.n - 1, 0)), this.joint, false)
  }

  show(keep = false) {
    this.frame = null
    this.scene.setPoses(this.poses, this.names, {keep})
    this.writePlayer()
    this.writePanel()
  }

  setNames(names) {
    this.names = names
    this.scene.setNames(names)
  }

  setGhosts(ghosts) { this.scene.setGhosts(ghosts) }

  /** Steps of a denoising run: an array of 66 numbers for each pose of each step, or an empty one. */
  setFrames(frames) {
    this.pause()
    this.frames = frames?.length ? Float32Array.from(frames) : null
    this.writePlayer()
    if (this.frame !== null) this.show(true)
  }

  get nFrames() { return this.frames && this.poses.length ? this.frames.length / this.poses.length : 0 }

  /** Show one step instead of the poses; null for the poses. */
  showFrame(i, tell = true) {
    if (i === null || !this.nFrames) this.show(true)
    else {
      this.frame = Math.min(Math.max(i, 0), this.nFrames - 1)
      const size = this.poses.length
      this.scene.setPoses(this.frames.slice(this.frame * size, this.frame * size + size), this.names, {keep: true})
    }
    this.writePlayer()
    if (tell) this.options.onFrame?.(this.frame ?? -1)
  }

  writePlayer() {
    const n = this.nFrames
    this.player.hidden = n === 0
    if (!n) return
    this.slider.max = n - 1
    this.slider.value = this.frame ?? n - 1
    this.frameLabel.textContent = this.frame === null ? `${n} steps` : `step ${this.frame + 1} of ${n}`
    this.playButton.textContent = this.timer ? '❚❚' : '▶'
  }

  togglePlay() { this.timer ? this.pause() : this.play() }

  play() {
    if (!this.nFrames || this.timer) return
    let i = this.frame === null || this.frame >= this.nFrames - 1 ? 0 : this.frame
    const next = () => {
      if (i >= this.nFrames) {
        this.pause()
        this.showFrame(null)
      } else this.showFrame(i++)
    }
    this.timer = setInterval(next, 1000 / this.fps)
    next()
  }

  pause() {
    clearInterval(this.timer)
    this.timer = null
    this.writePlayer()
  }

  setEditable(editable) {
    this.editable = editable
    this.scene.setEditable(editable)
    for (const part of [this.editGroup, this.panel, this.pasteButton, this.openButton]) part.hidden = !editable
    this.setRequests(this.requests)
    this.writePanel()
  }

  /** Which buttons somebody listens to: 'regenerate', 'words'. */
  setRequests(kinds) {
    this.requests = kinds
    this.regenerate.hidden = !kinds.includes('regenerate')
    this.wordsBox.hidden = !kinds.includes('words')
    this.asks.hidden = !this.editable || !kinds.length
  }

  setMessage(text) { this.status.textContent = text }

  select(pose, joint, tell = true) {
    this.active = Math.max(Math.min(pose ?? this.active, this.n - 1), 0)
    this.joint = joint ?? null
    this.scene.setSelection(this.active, this.joint)
    this.writePanel()
    if (tell) this.options.onSelect?.(this.active, this.joint)
  }

  setPinned(joints) {
    this.pinned = new Set(joints)
    this.scene.setPinned(this.pinned)
    this.writePanel()
  }

  togglePin(joint = this.joint) {
    if (joint === null) return this.setMessage('Choose a joint first: click it, or press N.')
    this.pinned.has(joint) ? this.pinned.delete(joint) : this.pinned.add(joint)
    this.setPinned(this.pinned)
    this.options.onPin?.([...this.pinned].sort((a, b) => a - b))
  }

  // changing poses

  pose(i = this.active) { return this.poses.slice(FLAT * i, FLAT * i + FLAT) }

  remember() {
    this.past.push(this.poses.slice())
    if (this.past.length > MOST_UNDO) this.past.shift()
    this.future = []
    this.writeUndo()
  }

  writeUndo() {
    this.undoButton.disabled = !this.past.length
    this.redoButton.disabled = !this.future.length
  }

  undo() { this.travel(this.past, this.future) }

  redo() { this.travel(this.future, this.past) }

  travel(from, to) {
    if (!from.length) return
    to.push(this.poses.slice())
    const poses = from.pop()
    const keep = poses.length === this.poses.length
    this.poses = poses
    if (this.names.length > this.n) this.names = this.names.slice(0, this.n)
    while (this.names.length < this.n) this.names.push('')
    this.show(keep)
    if (keep) this.settle()
    this.writeUndo()
    this.told(true)
  }

  settle() { for (let i = 0; i < this.n; i++) this.scene.settle(i) }

  told(done) { this.options.onEdit?.(this.poses.slice(), done, this.names) }

  /** The active pose becomes another one. */
  replace(pose, {remember = true, done = true, place} = {}) {
    if (!this.n) return
    if (remember) this.remember()
    if (this.frame !== null) this.showFrame(null)
    this.poses.set(pose, FLAT * this.active)
    this.scene.setPose(this.active, pose, place)
    if (done) this.scene.settle(this.active)
    this.writeRows()
    this.told(done)
  }

  inside() { if (this.n) this.replace(keepLimits(this.pose())) }

  dragged(pose, joint, target, phase) {
    if (phase === 'start') {
      this.pause()
      if (this.frame !== null) this.showFrame(null)
      this.active = pose
      this.held = {pose: this.pose(pose), place: this.scene.places[pose].slice(), remembered: false}
      return
    }
    if (!this.held) return
    if (phase === 'cancel') {
      this.held = null
      return
    }
    this.waiting = {joint, target, phase}
    if (phase === 'end') this.follow()
    else if (!this.following) this.following = requestAnimationFrame(() => this.follow())
  }

  /** Move the body after the pointer, once a picture. */
  follow() {
    cancelAnimationFrame(this.following)
    this.following = null
    if (!this.held || !this.waiting) return
    const {joint, target, phase} = this.waiting, {pose, place, remembered} = this.held
    if (!remembered) this.remember()
    this.held.remembered = true
    // the dragged pelvis is the origin: the body is put where its feet stay
    const {pose: moved, by} = dragged(pose, joint, target, this.pinsBut(joint))
    this.replace(moved, {remember: false, done: phase === 'end', place: place.map((v, a) => v + by[a])})
    if (phase === 'end') this.held = this.waiting = null
  }

  /** Move the selected joint by metres to the right, up and away as the camera sees it. */
  nudge([right, up, away]) {
    const {azimuth, elevation} = this.scene.camera, a = azimuth * Math.PI / 180, e = elevation * Math.PI / 180
    const axes = [[Math.cos(a), Math.sin(a), 0],
                  [Math.sin(a) * -Math.sin(e), Math.cos(a) * Math.sin(e), Math.cos(e)],
                  [-Math.sin(a) * Math.cos(e), Math.cos(a) * Math.cos(e), -Math.sin(e)]]
    const pose = this.pose(), at = 3 * this.joint
    const to = [0, 1, 2].map(k => pose[at + k] + right * axes[0][k] + up * axes[1][k] + away * axes[2][k])
    this.replace(drag(pose, this.joint, to, this.pinsBut(this.joint)))
  }

  pinsBut(joint) { return [...this.pinned].filter(j => j !== joint) }

  selectNext(by) {
    const n = DRAGGABLE.length, at = DRAGGABLE.indexOf(this.joint)
    const next = at < 0 ? (by > 0 ? 0 : n - 1) : (at + by + n) % n
    this.select(this.active, DRAGGABLE[next])
  }

  request(what) {
    if (what.kind === 'words' && !what.words.trim()) return this.setMessage('Write first what is to change.')
    this.setMessage('…')
    this.options.onRequest?.({...what, pose: this.active})
  }

  // sliders

  setMode(mode) {
    this.mode = mode
    this.writePanel()
  }

  writePanel() {
    if (!this.panel) return
    this.writeUndo()
    this.jointSelect.value = this.joint !== null && DRAGGABLE.includes(this.joint) ? this.joint : ''
    const pinned = this.joint !== null && this.pinned.has(this.joint)
    this.pinButton.setAttribute('aria-pressed', pinned)
    this.pinButton.textContent = pinned ? 'Unpin' : 'Pin'
    for (const button of this.modes) button.setAttribute('aria-pressed', button.dataset.mode === this.mode)
    this.rows.replaceChildren()
    this.fields = []
    if (!this.editable || !this.n || this.joint === null) return
    for (const row of this.values()) this.fields.push(this.makeRow(row))
  }

  /** [name, value, least, most, step, unit, set] of each slider. */
  values() {
    const pose = this.pose(), joint = this.joint
    if (this.mode === 'position') {
      if (joint === 0) return []
      return ['x', 'y', 'z'].map((axis, k) => [`${axis} (m)`, pose[3 * joint + k], -1.2, 1.2, .005, 3, value => {
        const to = Array.from(this.pose().slice(3 * joint, 3 * joint + 3))
        to[k] = value
        return drag(this.pose(), joint, to, this.pinsBut(joint))
      }])
    }
    const limb = limbOf(joint)
    return limbAngles(pose, limb).map(([name, value, least, most]) =>
      [`${spoken(name)} (°)`, value, least, most, 1, 1, degrees => setAngle(this.pose(), limb, name, degrees)])
  }

  makeRow([name, value, least, most, step, digits, set]) {
    const row = this.make('label', 't2p-row', this.rows)
    this.make('span', 't2p-name', row, name)
    const range = this.make('input', 't2p-range', row), number = this.make('input', 't2p-number', row)
    Object.assign(range, {type: 'range', min: least, max: most, step})
    Object.assign(number, {type: 'number', step})
    range.setAttribute('aria-label', name)
    number.setAttribute('aria-label', `${name}, number`)
    const field = {range, number, digits, busy: false}
    const apply = (input, done) => {
      const wanted = Number(input.value)
      if (input.value === '' || !Number.isFinite(wanted)) return this.writeRows()
      if (!field.busy) this.remember()
      field.busy = !done
      this.replace(set(wanted), {remember: false, done})
    }
    range.addEventListener('input', () => apply(range, false))
    range.addEventListener('change', () => {
      field.busy = false
      this.scene.settle(this.active)
      this.writeRows()
      this.told(true)
    })
    number.addEventListener('change', () => apply(number, true))
    this.writeField(field, value)
    return field
  }

  writeField({range, number, digits}, value) {
    if (document.activeElement !== range) range.value = value
    number.value = value.toFixed(digits)
  }

  writeRows() {
    if (!this.fields?.length) return
    this.values().forEach(([, value], i) => this.writeField(this.fields[i], value))
  }

  // JSON and files

  copy(clipboard = null) {
    if (!this.n) return
    const text = jsonOfPoses(this.pose(), [this.names[this.active] ?? ''])
    const done = () => this.setMessage('Copied as JSON.')
    if (clipboard) {
      clipboard.setData('text/plain', text)
      return done()
    }
    const refused = () => this.setMessage('The browser does not let the page copy: click the body and press Ctrl-C.')
    navigator.clipboard ? navigator.clipboard.writeText(text).then(done, refused) : refused()
  }

  async paste() {
    try { this.pasteText(await navigator.clipboard.readText()) }
    catch { this.setMessage('The browser does not let the page paste: click the body and press Ctrl-V.') }
  }

  pasteText(text) {
    try {
      const {poses} = posesOfJSON(text)
      this.replace(poses.slice(0, FLAT))
      this.setMessage('Pasted.')
    } catch (error) { this.setMessage(error.message) }
  }

  async readFiles(files) {
    for (const file of [...files].slice(0, 1)) {
      if (file.size > MOST_BYTES) {
        const size = Math.round(file.size / 1e6)
        this.setMessage(`${file.name} has ${size} MB; files of at most ${MOST_BYTES / 1e6} MB are read.`)
        return
      }
      this.setMessage(`Reading ${file.name} …`)
      const bytes = await file.arrayBuffer()
      if (this.options.onFile) this.options.onFile(file.name, bytes)
      else this.readJSON(file.name, new TextDecoder().decode(bytes))
    }
  }

  readJSON(name, text) {
    try {
      const {poses, names} = posesOfJSON(text)
      this.setPoses(poses, names)
      this.told(true)
      this.setMessage(`${this.n} poses from ${name}.`)
    } catch (error) { this.setMessage(`${name}: ${error.message}`) }
  }

  // keys, clipboard, drops

  listen() {
    const canvas = this.scene.canvas
    canvas.addEventListener('keydown', e => this.key(e))
    this.stops = []
    const onPage = (name, does) => {
      document.addEventListener(name, does)
      this.stops.push(() => document.removeEventListener(name, does))
    }
    onPage('copy', e => {
      if (document.activeElement !== canvas || String(window.getSelection())) return
      e.preventDefault()
      this.copy(e.clipboardData)
    })
    onPage('paste', e => {
      if (document.activeElement !== canvas || !this.editable) return
      e.preventDefault()
      this.pasteText(e.clipboardData.getData('text/plain'))
    })
    this.root.addEventListener('keydown', e => { e.stopPropagation() }) // a notebook has keys of its own
    this.root.addEventListener('dragover', e => {
      if (!this.editable) return
      e.preventDefault()
      this.root.classList.add('t2p-drop')
    })
    this.root.addEventListener('dragleave', () => this.root.classList.remove('t2p-drop'))
    this.root.addEventListener('drop', e => {
      this.root.classList.remove('t2p-drop')
      if (!this.editable) return
      e.preventDefault()
      if (e.dataTransfer.files.length) this.readFiles(e.dataTransfer.files)
    })
  }

  key(e) {
    if (this.act(e)) e.preventDefault()
  }

  /** Do what a key says; whether it said something. */
  act(e) {
    const control = e.ctrlKey || e.metaKey, key = e.key.toLowerCase()
    if (control && this.editable && key === 'z') return this[e.shiftKey ? 'redo' : 'undo'](), true
    if (control && this.editable && key === 'y') return this.redo(), true
    if (control || e.altKey) return false
    if (e.key in WAYS) return this.arrow(WAYS[e.key], e.shiftKey)
    if (e.key in VIEW_KEYS) return this.scene.setView(VIEW_KEYS[e.key]), true
    if (key === '+' || key === '=') return this.scene.zoomBy(1.2), true
    if (key === '-') return this.scene.zoomBy(1 / 1.2), true
    if (key === ' ' && this.nFrames) return this.togglePlay(), true
    if (key === 'escape') return this.select(this.active, null), true
    if (key === '?') return this.help.hidden = !this.help.hidden, true
    if (this.editable && key === 'n') return this.selectNext(e.shiftKey ? -1 : 1), true
    if (this.editable && key === 'p') return this.togglePin(), true
    return false
  }

  arrow(way, big) {
    if (this.editable && this.joint !== null && DRAGGABLE.includes(this.joint)) {
      this.nudge(way.map(v => v * (big ? BIG_STEP : STEP)))
      return true
    }
    if (way[2]) return false
    this.scene.orbit(way[0] * -10, way[1] * 8)
    return true
  }

  dispose() {
    this.pause()
    for (const stop of this.stops) stop()
    this.scene.dispose()
    this.root.remove()
  }
}
