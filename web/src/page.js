// The page: a form, bodies in three dimensions, files in and out. The work is done by worker.js.
import {Body, canonical} from './enforce.js'
import {FIRST} from './first.js'
import {checkSize, readPoses, toBvh, toJson, toOpenPose} from './formats.js'
import {checkSeed, unzipped} from './pipeline.js'
import {PoseScene} from './scene.js'

const MAX_PROMPTS = 16, MAX_SHOWN = 64, MAX_LINK = 1500  // characters of a prompt in a link
const $ = id => document.getElementById(id)
const megabytes = n => `${(n / 1e6).toFixed(1)} MB`

const state = {poses: [], chosen: 0, group: 1, run: 0, busy: false, ready: false, body: null, version: null}

// ---------------------------------------------------------------- bodies

let scene
try { scene = new PoseScene($('stage'), {onSelect: pose => pose !== null && choose(pose)}) } catch (error) {
  say('')
  fail(error.message)
  throw error
}

function show(poses) {
  state.poses = poses
  $('empty').hidden = poses.length > 0
  $('details').hidden = poses.length === 0
  const flat = new Float32Array(66 * poses.length)
  poses.forEach(({joints}, i) => flat.set(joints, 66 * i))
  scene.setPoses(flat, poses.map(({prompt}) => prompt), {group: state.group})
  choose(Math.min(state.chosen, Math.max(poses.length - 1, 0)))
}

function choose(i) {
  const pose = state.poses[i]
  state.chosen = i
  if (!pose) return
  scene.setSelection(i, null)
  $('title').textContent = pose.prompt
  const score = pose.score ?? state.body?.score(pose.joints)
  const number = state.poses.length > 1 ? `Pose ${i + 1} of ${state.poses.length}. ` : ''
  const guessed = pose.isGuessed ? ' Its depth is a guess: a picture does not show it.' : ''
  $('score').textContent = `${number}${score === undefined ? '' : `Plausibility ${score.toFixed(2)}.`}${guessed}`
  const shown = ([name, similarity]) => `${name.replaceAll('_', ' ')} (${similarity.toFixed(2)})`
  const names = (pose.exemplars ?? []).map(shown)
  $('exemplars').textContent = names.length ? `Looked at: ${names.join(', ')}.` : ''
}

// ---------------------------------------------------------------- messages

function fail(message) { $('error').textContent = message }
function say(message, share = null) {
  $('status').textContent = message
  $('progress').hidden = share === null
  if (share !== null) $('progress').value = share
}

function settle() {
  state.busy = false
  $('go').disabled = !state.ready
}

const worker = new Worker(new URL('page.worker.js', import.meta.url), {type: 'module'})
worker.onerror = event => {
  event.preventDefault()
  say('')
  fail(`The part that computes could not start: ${event.message ?? 'page.worker.js is missing'}`)
}
worker.onmessage = ({data}) => {
  if (data.type === 'loading')
    say(`Loading ${megabytes(data.loaded)} of ${megabytes(data.total)} …`, data.loaded / data.total)
  else if (data.type === 'preparing') say(`Preparing ${data.name.split('.')[0]} …`, data.loaded / data.total)
  else if (data.type === 'ready') {
    state.ready = true
    $('size').textContent = `${megabytes(data.bytes)} loaded; the network is no longer needed.`
    if (!state.busy) say('Ready.')
    settle()
    if (state.wanted) generate()
  } else if (data.type === 'failed') {
    say('')
    fail(data.message)
  } else if (data.id !== state.run) return
  else if (data.type === 'step') say(`Step ${data.step} of ${data.of} …`, data.step / data.of)
  else if (data.type === 'error') {
    say('Ready.')
    fail(data.message)
    settle()
  } else if (data.type === 'poses') {
    state.fresh.push(...data.poses)
    show(state.fresh)
    if (!data.isLast) return
    const seconds = (performance.now() - state.began) / 1000
    say(`${state.poses.length} ${state.poses.length === 1 ? 'pose' : 'poses'} in ${seconds.toFixed(1)} seconds.`)
    settle()
  }
}

loadSettings().catch(() => {})  // the worker tells where it fails
async function loadSettings() {
  const response = await fetch(new URL('settings.bin', import.meta.url))
  const bytes = await unzipped(new Uint8Array(await response.arrayBuffer()))
  const settings = JSON.parse(new TextDecoder().decode(bytes))
  Object.assign(state, {body: new Body(settings.body), version: settings.version})
  $('steps').placeholder = settings.num_inference_steps
  choose(state.chosen)
}

// ---------------------------------------------------------------- the form

function wholeNumber(id, name, low, high) {
  const text = $(id).value.trim()
  if (!/^\d+$/.test(text) || Number(text) < low || Number(text) > high)
    throw new Error(`${name} must be a whole number of ${low} to ${high}, got '${text.slice(0, 20)}'`)
  return Number(text)
}

function guidanceGiven() {  // null where nothing is said
  const text = $('guidance').value.trim()
  if (!text) return null
  const parts = text.split(/[:;\s]+/).map(part => Number(part.replace(',', '.')))
  if (parts.length > 2 || !parts.every(v => v >= 0 && v <= 100))
    throw new Error(`guidance must be a number of 0 to 100, or two such as 2:7, got '${text.slice(0, 20)}'`)
  return parts
}

function requests() {
  const prompts = $('prompt').value.split('\n').map(line => line.trim()).filter(Boolean)
  if (!prompts.length) throw new Error(`type what a body does, for example "${$('prompt').placeholder}"`)
  if (prompts.length > MAX_PROMPTS) throw new Error(`${prompts.length} prompts are more than ${MAX_PROMPTS}`)
  const n = wholeNumber('n', 'the number of poses', 1, 16)
  if (n * prompts.length > MAX_SHOWN) throw new Error(
    `${n * prompts.length} poses are more than ${MAX_SHOWN}; ask for fewer poses a prompt, or for fewer prompts`)
  const steps = $('steps').value.trim() ? wholeNumber('steps', 'the number of steps', 1, 200) : null
  const seed = String(checkSeed($('seed').value)), negative = $('negative').value
  const shared = {n, seed, steps, guidance: guidanceGiven(), negative}
  return prompts.map(prompt => ({prompt, ...shared}))
}

function generate() {
  fail('')
  let asked
  try { asked = requests() } catch (error) { return fail(error.message) }
  writeLink()
  if (!state.ready) {
    state.wanted = true
    return
  }
  Object.assign(state, {busy: true, wanted: false, fresh: [], began: performance.now(), chosen: 0})
  state.group = asked[0].n
  state.run += 1
  $('go').disabled = true
  say('Reading …', 0)
  worker.postMessage({id: state.run, requests: asked})
  if (matchMedia('(max-width: 760px)').matches) $('stage').scrollIntoView({block: 'start'})
}

$('form').addEventListener('submit', event => {
  event.preventDefault()
  if (!state.busy) generate()
})
$('prompt').addEventListener('keydown', event => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  if (!state.busy) generate()
})
for (const button of $('examples').children) button.addEventListener('click', () => {
  $('prompt').value = button.textContent
  if (!state.busy) generate()
})
$('dice').addEventListener('click', () => { $('seed').value = Math.floor(Math.random() * 1e6) })

// ---------------------------------------------------------------- the link

const FIELDS = {p: 'prompt', n: 'n', s: 'seed', not: 'negative', g: 'guidance', t: 'steps'}
const DEFAULTS = {n: '4', s: '0'}

function link() {
  const query = new URLSearchParams()
  for (const [key, id] of Object.entries(FIELDS)) {
    const value = $(id).value.trim()
    if (value && value !== DEFAULTS[key]) query.set(key, value)
  }
  return `#${query}`
}

function writeLink() {
  if ($('prompt').value.length <= MAX_LINK) history.replaceState(null, '', link())
}

function readLink() {
  const query = new URLSearchParams(location.hash.slice(1))
  if (!query.get('p')) return
  for (const [key, id] of Object.entries(FIELDS)) $(id).value = query.get(key) ?? DEFAULTS[key] ?? ''
  if (query.get('not') || query.get('g') || query.get('t')) document.querySelector('details').open = true
  generate()
}
window.addEventListener('hashchange', readLink)

$('share').addEventListener('click', async () => {
  fail('')
  if ($('prompt').value.length > MAX_LINK) return fail(`a link holds at most ${MAX_LINK} characters of prompts`)
  const url = new URL(link(), location.href).href
  history.replaceState(null, '', url)
  try {
    await navigator.clipboard.writeText(url)
    say('The link is in the clipboard.')
  } catch { say('The address of this page is the link.') }
})

// ---------------------------------------------------------------- files out

function save(blob, name) {
  const anchor = document.createElement('a')
  anchor.href = URL.createObjectURL(blob)
  anchor.download = name
  anchor.click()
  setTimeout(() => URL.revokeObjectURL(anchor.href), 10_000)
}

function fileName(pose, ending) {
  const words = pose.prompt.toLowerCase().replace(/[^a-z0-9]+/g, '_').replace(/^_+|_+$/g, '').slice(0, 40)
  return `${words || 'pose'}${ending}`
}

const about = () => state.version ? {version: state.version} : {}
const text = (content, type = 'application/json') => new Blob([content], {type})

async function download(format) {
  const pose = state.poses[state.chosen]
  if (format === 'json') save(text(toJson([pose], about())), fileName(pose, '.json'))
  if (format === 'openpose') save(text(toOpenPose(pose)), fileName(pose, '_openpose.json'))
  if (format === 'bvh') {
    if (!state.body) throw new Error('the body is not loaded yet')
    const isOurs = pose.exemplars !== undefined  // others are put on the reference body
    const joints = isOurs ? pose.joints : state.body.enforced(pose.joints)
    save(text(toBvh([{joints}], state.body), 'text/plain'), fileName(pose, '.bvh'))
  }
  if (format === 'png') save(await (await fetch(scene.picture())).blob(), fileName(pose, '.png'))
}

for (const button of document.querySelectorAll('[data-format]'))
  button.addEventListener('click', () => download(button.dataset.format).catch(error => fail(error.message)))
$('all').addEventListener('click', () => save(text(toJson(state.poses, about())), 'poses.json'))

// ---------------------------------------------------------------- files in

async function openFile(file) {
  fail('')
  try {
    checkSize(file)
    openText(await file.text(), file.name)
  } catch (error) { fail(error.message) }
}

function openText(content, name) {
  const poses = readPoses(content, name).map(pose =>  // a guess is put on the body
    pose.isGuessed && state.body ? {...pose, joints: canonical(state.body.enforced(pose.joints))} : pose)
  if (state.busy) throw new Error('poses are being made; open the file when they are here')
  Object.assign(state, {chosen: 0, group: 1})
  show(poses)
  say(`${poses.length} ${poses.length === 1 ? 'pose' : 'poses'} of ${name}.`)
}

$('open').addEventListener('click', () => $('file').click())
$('file').addEventListener('change', () => {
  if ($('file').files[0]) openFile($('file').files[0])
  $('file').value = ''
})
const stage = $('stage')
document.addEventListener('dragover', event => {
  event.preventDefault()
  stage.classList.add('dropping')
})
document.addEventListener('dragleave', event => { if (!event.relatedTarget) stage.classList.remove('dropping') })
document.addEventListener('drop', event => {
  event.preventDefault()
  stage.classList.remove('dropping')
  const [file] = event.dataTransfer.files
  if (file) openFile(file)
})
document.addEventListener('paste', event => {
  const [file] = event.clipboardData.files, isTyping = event.target.closest?.('input, textarea')
  const content = event.clipboardData.getData('text')
  if (file) openFile(file)
  else if (!isTyping && content.trim()) {
    fail('')
    try {
      checkSize({name: 'what was pasted', size: content.length})
      openText(content, 'what was pasted')
    } catch (error) { fail(error.message) }
  }
})

// ---------------------------------------------------------------- views and keys

for (const button of document.querySelectorAll('[data-view]'))
  button.addEventListener('click', () => scene.setView(button.dataset.view))

const KEYS = {
  ArrowLeft: () => scene.orbit(10, 0), ArrowRight: () => scene.orbit(-10, 0), ArrowUp: () => scene.orbit(0, 8),
  ArrowDown: () => scene.orbit(0, -8), '+': () => scene.zoomBy(1.15), '-': () => scene.zoomBy(1 / 1.15),
  PageUp: () => choose(Math.max(state.chosen - 1, 0)),
  PageDown: () => choose(Math.min(state.chosen + 1, state.poses.length - 1))}
stage.addEventListener('keydown', event => {
  const does = KEYS[event.key]
  if (!does || event.ctrlKey || event.metaKey || event.altKey) return
  event.preventDefault()
  does()
})

show([{prompt: 'warrior two', joints: Float32Array.from(FIRST)}])
readLink()
window.text2pose = {state, scene}  // for tests, and for whoever is curious
