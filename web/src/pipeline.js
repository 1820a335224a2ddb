// A prompt becomes poses: the encoder, the library, the denoiser and its steps, as `Text2PosePipeline` of 04_cfg.

import {Body, canonical} from './enforce.js'
import {isMirrored, noiseOfPose, rankingNoise} from './noise.js'
import {Sides, Tokenizer, checkPrompt} from './words.js'

const f32 = Math.fround

// ---------------------------------------------------------------- files, as `pack` of 04b_web writes them

export async function unzipped(bytes) {  // Uint8Array; what is not gzip stays as it is
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

export class Pack {
  constructor(bytes) {
    this.bytes = bytes
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)))
    this.notes = header.notes
    this.entries = new Map()
    let start = 4 + length
    for (const entry of header.arrays) {
      this.entries.set(entry.name, {...entry, start, size: entry.shape.reduce((a, b) => a * b, 1)})
      start += entry.bytes
    }
  }

  raw(name) {
    const {start, bytes} = this.entries.get(name)
    return this.bytes.slice(start, start + bytes)
  }

  // What puts a row of whole numbers, times its scale, into an array; the planes of bytes lie one behind the other.
  reader(name) {
    const {shape: [rows], planes, size, start} = this.entries.get(name), width = size / rows, bytes = this.bytes
    const scales = new Float32Array(bytes.slice(start, start + 4 * rows).buffer)
    const top = start + 4 * rows + (planes - 1) * size
    return (row, target, at, stride) => {
      const scale = scales[row]
      for (let k = 0, from = top + row * width; k < width; k++, from++) {
        let value = (bytes[from] << 24) >> 24
        for (let p = 1; p < planes; p++) value = (value << 8) | bytes[from - p * size]
        target[at + k * stride] = value * scale
      }
    }
  }

  // An array of float32 in full, as it is or with its two axes exchanged, put into `target` from `at` on.
  fill(name, target, at = 0, transposed = false) {
    const {shape: [rows], planes, size} = this.entries.get(name)
    if (planes === 0) {
      const values = new Float32Array(this.raw(name).buffer), width = size / rows
      if (!transposed) target.set(values, at)
      else values.forEach((v, k) => { target[at + (k % width) * rows + Math.floor(k / width)] = v })
      return
    }
    const read = this.reader(name), width = size / rows
    for (let row = 0; row < rows; row++) read(row, target, at + (transposed ? row : row * width), transposed ? rows : 1)
  }

  array(name) {
    const out = new Float32Array(this.entries.get(name).size)
    this.fill(name, out)
    return out
  }
}

// A session of ONNX Runtime from a graph whose weights lie beside it.
async function session(ort, pack) {
  const {weights} = pack.notes  // [name, whether transposed], in the order of their places
  const sizes = weights.map(([name]) => pack.entries.get(name).size)
  const all = new Float32Array(sizes.reduce((a, b) => a + b, 0))
  let at = 0
  weights.forEach(([name, transposed], k) => {
    pack.fill(name, all, at, transposed)
    at += sizes[k]
  })
  const data = new Uint8Array(all.buffer)
  return ort.InferenceSession.create(pack.raw('graph'), {
    executionProviders: ['wasm'], externalData: [{path: 'weights', data}], logSeverityLevel: 3})
}

// ---------------------------------------------------------------- steps, as 03c_diffusion

function roundEven(v) {  // as Python's round
  const whole = Math.floor(v), rest = v - whole
  return rest === .5 ? whole + whole % 2 : Math.round(v)
}

export function ddimTimesteps(nSteps, T) {
  return Array.from({length: nSteps}, (_, i) => roundEven(T * (1 - i / nSteps)) - 1)
}

export function guidanceRamp([start, end], nSteps, [low, high]) {
  const step = nSteps > 1 ? (end - start) / (nSteps - 1) : 0
  return Array.from({length: nSteps}, (_, i) => {
    const middle = (i + .5) / nSteps, scale = i && i === nSteps - 1 ? end : start + i * step
    return low <= middle && middle <= high ? scale : 1
  })
}

// ---------------------------------------------------------------- the pipeline

export const FILES = ['ort', 'text', 'embeddings', 'library', 'levels', 'context', 'denoise'].map(name => `${name}.bin`)
const MAX_POSES = 64, MAX_STEPS = 1000, MAX_GUIDANCE = 100

function checkNumber(name, value, low, high, isWhole = true) {
  if (typeof value !== 'number' || !(low <= value && value <= high) || (isWhole && !Number.isInteger(value)))
    throw new Error(`${name} must be a ${isWhole ? 'whole ' : ''}number of ${low} to ${high}, got ${value}`)
  return value
}

export function checkSeed(seed) {
  const text = String(seed).trim()
  if (!/^\d{1,40}$/.test(text))
    throw new Error(`the seed must be a whole number, 0 or more, got '${text.slice(0, 40)}'`)
  return BigInt(text)
}

export class Pipeline {
  // ort: the module of ONNX Runtime; settings: of settings.bin; read(name): the bytes of a file; told(name): it is here
  static async load(ort, settings, read, told = () => {}) {
    const pipeline = new Pipeline(), parts = {}
    const sides = new Sides(settings.sides), body = new Body(settings.body)
    Object.assign(pipeline, {ort, settings, sides, body, sessions: {}})
    for (const name of FILES) {
      const file = await read(name)
      told(name)
      const bytes = await unzipped(file)
      if (name === 'ort.bin') Object.assign(ort.env.wasm, {numThreads: 1, wasmBinary: bytes})
      else if (['embeddings.bin', 'library.bin'].includes(name)) parts[name] = new Pack(bytes)
      else pipeline.sessions[name.split('.')[0]] = await session(ort, new Pack(bytes))
    }
    pipeline.takeEmbeddings(parts['embeddings.bin'])
    pipeline.takeLibrary(parts['library.bin'])
    return pipeline
  }

  takeEmbeddings(pack) {
    const {vocabulary, common} = pack.notes
    this.tokenizer = new Tokenizer(vocabulary)
    const readers = {common: pack.reader('common'), rare: pack.reader('rare')}
    const placeOf = new Map(common.map((id, row) => [id, row]))
    const rareRow = new Map()
    vocabulary.forEach((_, id) => { if (!placeOf.has(id)) rareRow.set(id, rareRow.size) })
    this.readToken = (id, target, at) =>
      placeOf.has(id) ? readers.common(placeOf.get(id), target, at, 1) : readers.rare(rareRow.get(id), target, at, 1)
    this.positions = pack.array('positions')
    this.segment = pack.array('segment')
  }

  takeLibrary(pack) {
    this.library = {
      names: pack.notes.names, twins: pack.notes.twins, owners: pack.notes.owners,
      vectors: pack.array('vectors'), joints: pack.array('joints'),
      phrases: pack.notes.owners ? pack.array('phrases') : null}
  }

  check(prompt) { return checkPrompt(prompt, this.settings) }

  // ---------------------------------------------------------------- words

  tokens(prompt) {
    const ids = this.tokenizer.encode(prompt), {max_tokens: most} = this.settings
    if (ids.length > most) throw new Error(
      `the prompt "${prompt.slice(0, 40)}…" has ${ids.length} tokens; the text encoder takes at most ${most}`)
    return ids
  }

  embedded(ids) {  // the sum of the embeddings of words, places and the one segment
    const dim = this.segment.length, out = new Float32Array(ids.length * dim)
    ids.forEach((id, k) => this.readToken(id, out, k * dim))
    for (let k = 0; k < out.length; k++) out[k] = f32(out[k] + this.positions[k]) + this.segment[k % dim]
    return out
  }

  async readText(prompt) {  // {states, vector, n: number of tokens}
    const ids = this.tokens(prompt), embedded = this.embedded(ids)
    const input = new this.ort.Tensor('float32', embedded, [1, ids.length, this.segment.length])
    const {tokens, states, vector} = await this.sessions.text.run({embedded: input})
    return {ids, tokens: tokens.data, states: states.data, vector: vector.data, n: ids.length}
  }

  nothing() { return {states: Float32Array.from(this.settings.null), vector: null, n: 1} }

  // ---------------------------------------------------------------- exemplars, as `PoseMemory`

  similarity(vector) {
    const {names, vectors, phrases, owners} = this.library, dim = vector.length
    const cosine = (all, row) => {
      let sum = 0
      for (let k = 0; k < dim; k++) sum += vector[k] * all[row * dim + k]
      return sum
    }
    const out = Float32Array.from(names, (_, row) => cosine(vectors, row))
    const weight = f32(this.settings.phrase_weight ?? 0)
    owners?.forEach((row, k) => { out[row] = Math.max(out[row], f32(weight * cosine(phrases, k))) })
    return out
  }

  nearest(similarity, k) {  // a pose and its mirror image together would blend: the farther of the two comes last
    const {twins} = this.library
    const ranked = similarity.map((own, row) => {
      const other = similarity[twins[row]]
      return other > own || (other === own && twins[row] < row) ? own - 4 : own
    })
    return Array.from(ranked.keys()).sort((a, b) => ranked[b] - ranked[a] || a - b).slice(0, k)
  }

  lookUp(similarity, seed, j, k) {
    const noise = rankingNoise(seed, j, similarity.length)
    const rows = this.nearest(similarity.map((s, row) => s + noise[row]), k)
    return {rows, similarity: rows.map(row => similarity[row])}
  }

  lookUpNames(found) {  // [name, similarity], the most similar first
    return found.rows.map((row, k) => [this.library.names[row], Math.round(found.similarity[k] * 1e4) / 1e4])
      .sort((a, b) => b[1] - a[1])
  }

  // ---------------------------------------------------------------- directions and metres

  normalized(row) {  // a pose of the library as the denoiser sees it
    const {mean, std} = this.settings, out = new Float32Array(66)
    const x = this.library.joints.subarray(66 * row, 66 * row + 66)
    for (let j = 0; j < 22; j++) {
      const parent = this.body.parents[j]
      const bone = [0, 1, 2].map(c => parent < 0 ? 0 : f32(x[3 * j + c] - x[3 * parent + c]))
      const norm = Math.max(f32(Math.hypot(...bone)), f32(1e-6))
      for (let c = 0; c < 3; c++) out[3 * j + c] = f32(f32(bone[c] / norm) - mean[3 * j + c]) / std[3 * j + c]
    }
    return out
  }

  metres(x, mirrored) {  // z-scores (66, double) → Float32Array(66)
    const {mean, std} = this.settings, out = new Float64Array(66)
    for (let j = 1; j < 22; j++) {
      const d = [0, 1, 2].map(c => x[3 * j + c] * std[3 * j + c] + mean[3 * j + c])
      const scale = this.body.lengths[j] / Math.max(Math.hypot(...d), .1)
      for (let c = 0; c < 3; c++) out[3 * j + c] = out[3 * this.body.parents[j] + c] + d[c] * scale
    }
    return Float32Array.from(mirrored ? this.body.mirrored(out) : out)
  }

  // ---------------------------------------------------------------- the denoiser

  // What n rows read: words {states, n} and, for each row, exemplars {rows, similarity}, which may be hidden.
  async context(words, found, isShown) {
    const n = found.length, k = found[0].rows.length, {Tensor} = this.ort, dim = words.states.length / words.n
    const states = new Float32Array(n * words.states.length)
    const poses = new Float32Array(n * k * 66), similarity = new Float32Array(n * k)
    found.forEach((f, i) => {
      states.set(words.states, i * words.states.length)
      f.rows.forEach((row, e) => poses.set(this.normalized(row), (i * k + e) * 66))
      similarity.set(f.similarity, i * k)
    })
    const fed = await this.sessions.context.run({
      states: new Tensor('float32', states, [n, words.n, dim]), poses: new Tensor('float32', poses, [n, k, 22, 3]),
      similarity: new Tensor('float32', similarity, [n, k]),
      shown: new Tensor('bool', new Uint8Array(n * k).fill(isShown ? 1 : 0), [n, k])})
    return {fed, n, states: new Tensor('float32', words.states, [1, words.n, dim])}
  }

  async levelsAt(context, timestep) {  // modulations of one noise level, for every row
    const found = await this.sessions.levels.run(
      {timestep: new this.ort.Tensor('int64', BigInt64Array.of(BigInt(timestep)), [1]), states: context.states})
    return Object.fromEntries(Object.entries(found).map(([name, {data, dims}]) => {
      const all = new Float32Array(context.n * data.length)
      for (let i = 0; i < context.n; i++) all.set(data, i * data.length)
      return [name, new this.ort.Tensor('float32', all, [context.n, ...dims.slice(1)])]
    }))
  }

  async predict(x, context, timestep) {
    const sample = new this.ort.Tensor('float32', Float32Array.from(x), [context.n, 22, 3])
    const levels = await this.levelsAt(context, timestep)
    const {prediction} = await this.sessions.denoise.run({sample, ...context.fed, ...levels})
    return prediction.data
  }

  async sample(noise, cond, uncond, timesteps, scales, told) {  // z-scores of all poses, one behind the other
    const alphas = this.settings.alphas
    let x = noise
    for (const [i, t] of timesteps.entries()) {
      const signal = Math.sqrt(alphas[t]), spread = Math.sqrt(1 - alphas[t]), scale = scales[i]
      const withWords = scale === 0 ? null : await this.predict(x, cond, t)
      const without = scale === 1 ? withWords : await this.predict(x, uncond, t)
      const following = i + 1 < timesteps.length ? alphas[timesteps[i + 1]] : null
      x = x.map((xt, k) => {
        const own = signal * xt - spread * (withWords ?? without)[k], other = signal * xt - spread * without[k]
        const x0 = other + scale * (own - other), eps = (xt - signal * x0) / spread
        return following === null ? x0 : Math.sqrt(following) * x0 + Math.sqrt(1 - following) * eps
      })
      await told(i + 1, timesteps.length)
    }
    return x
  }

  // ---------------------------------------------------------------- a call

  // One prompt → n poses: {joints, score, exemplars} each; the defaults are those of `Text2PosePipeline`.
  async generate({prompt, negative = '', n = 4, seed = 0, steps = null, guidance = null, told = () => {}}) {
    const own = this.settings, text = this.check(prompt), bigSeed = checkSeed(seed)
    const other = negative && negative.trim() ? this.check(negative) : ''
    checkNumber('the number of poses', n, 1, MAX_POSES)
    const nSteps = checkNumber('the number of steps', steps ?? own.num_inference_steps, 1, MAX_STEPS)
    const pair = guidance === null ? [own.guidance_scale, own.guidance_scale] : [guidance].flat()
    const ramp = pair.length === 1 ? [pair[0], pair[0]] : pair
    ramp.forEach(g => checkNumber('the guidance', g, 0, MAX_GUIDANCE, false))
    const scales = guidanceRamp(ramp, nSteps, guidance === null ? own.guidance_interval : [0, 1])
    const words = await this.readText(text), away = other ? await this.readText(other) : this.nothing()
    const places = Array.from({length: n}, (_, j) => j), similarity = this.similarity(words.vector)
    const seen = places.map(j => this.lookUp(similarity, bigSeed, j, own.num_exemplars))
    const avoided = other ? this.similarity(away.vector) : null
    const unseen = avoided ? places.map(j => this.lookUp(avoided, bigSeed, j, own.num_exemplars)) : seen
    const cond = await this.context(words, seen, true), uncond = await this.context(away, unseen, Boolean(other))
    const noise = Float64Array.from(places.flatMap(j => Array.from(noiseOfPose(bigSeed, j))))
    const timesteps = ddimTimesteps(nSteps, own.alphas.length)
    const x = await this.sample(noise, cond, uncond, timesteps, scales, told)
    const isFree = !this.sides.areNamed(text) && !(other && this.sides.areNamed(other))
    return places.map(j => {
      const raw = canonical(this.metres(x.subarray(66 * j, 66 * j + 66), isFree && isMirrored(bigSeed, j)))
      const joints = canonical(this.body.enforced(raw))
      return {prompt: text, joints, raw, score: this.body.score(joints), exemplars: this.lookUpNames(seen[j])}
    })
  }
}
