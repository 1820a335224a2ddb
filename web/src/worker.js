// The pipeline, off the main thread: messages in, messages out.
import * as ort from 'onnxruntime-web/wasm'
import {FILES, Pipeline, unzipped} from './pipeline.js'

const tell = message => self.postMessage(message)
const here = new URL('.', self.location.href)
let loaded = 0, total = 0, pipeline = null

async function fetched(name) {  // the bytes of a file beside the page, with progress
  const response = await fetch(new URL(name, here)).catch(() => null)
  if (!response?.ok) throw new Error(`${name} could not be loaded: is the folder complete, and served by a web server?`)
  const parts = [], reader = response.body.getReader()
  for (;;) {
    const {done, value} = await reader.read()
    if (done) break
    parts.push(value)
    loaded += value.length
    if (total) tell({type: 'loading', name, loaded, total})
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer())
}

async function load() {
  const settings = JSON.parse(new TextDecoder().decode(await unzipped(await fetched('settings.bin'))))
  total = FILES.reduce((sum, name) => sum + settings.sizes[name], loaded)
  pipeline = await Pipeline.load(ort, settings, fetched, name => tell({type: 'preparing', name, loaded, total}))
  tell({type: 'ready', bytes: loaded})
}

async function generate({id, requests}) {
  try {
    await ready
    for (const request of requests) pipeline.tokens(pipeline.check(request.prompt))  // before the first takes its time
    for (const [k, request] of requests.entries()) {
      const told = (step, of) => tell({type: 'step', id, step: k * of + step, of: requests.length * of})
      tell({type: 'poses', id, poses: await pipeline.generate({...request, told}), isLast: k === requests.length - 1})
    }
  } catch (error) { tell({type: 'error', id, message: error.message}) }
}

const ready = load()
ready.catch(error => tell({type: 'failed', message: error.message}))
let last = ready.catch(() => {})
self.onmessage = ({data}) => { last = last.then(() => generate(data)) }
