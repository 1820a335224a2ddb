// Stages of the page in Node: node stages.mjs STAGE GIVEN.json FOUND.json [SITE NODE_MODULES]
import {readFileSync, writeFileSync} from 'node:fs'
import {pathToFileURL} from 'node:url'
import path from 'node:path'
import {Body, canonical} from '../../web/src/enforce.js'
import {readPoses, toBvh, toJson, toOpenPose} from '../../web/src/formats.js'
import {isMirrored, noiseOfPose, numpyNormal, rankingNoise} from '../../web/src/noise.js'
import {FILES, Pack, Pipeline, ddimTimesteps, guidanceRamp, unzipped} from '../../web/src/pipeline.js'
import {Sides, Tokenizer, checkPrompt} from '../../web/src/words.js'

const [stage, givenPath, foundPath, site, modules] = process.argv.slice(2)
const {given, numbers} = JSON.parse(readFileSync(givenPath))
const list = values => Array.from(values)

async function loaded() {
  const ort = await import(pathToFileURL(path.join(modules, 'onnxruntime-web/dist/ort.wasm.bundle.min.mjs')))
  const read = async name => new Uint8Array(readFileSync(path.join(site, name)))
  const settings = JSON.parse(new TextDecoder().decode(await unzipped(await read('settings.bin'))))
  return Pipeline.load(ort, settings, read)
}

const attempt = does => {
  try { return does() } catch (error) { return {error: error.message} }
}

const STAGES = {
  noise: () => given.map(([seed, j, n]) => {
    const key = BigInt(seed)
    return {noise: list(noiseOfPose(key, j)), isMirrored: isMirrored(key, j), ranking: list(rankingNoise(key, j, n))}
  }),
  normal: () => list(numpyNormal(given.keys, given.n)),
  words() {
    const tokenizer = new Tokenizer(given.vocabulary), sides = new Sides(numbers.sides)
    return given.prompts.map(prompt => attempt(() => {
      const text = checkPrompt(prompt, numbers)
      return [text, tokenizer.encode(text), sides.areNamed(text)]
    }))
  },
  schedule: () => given.map(([n, pair, interval]) => [ddimTimesteps(n, 1000), guidanceRamp(pair, n, interval)]),
  enforce() {
    const body = new Body(numbers.body)
    return given.map(pose => {
      const joints = body.enforced(Float32Array.from(pose))
      return {joints: list(joints), canonical: list(canonical(pose)), score: body.score(pose)}
    })
  },
  async unpack() {
    const pack = new Pack(await unzipped(new Uint8Array(readFileSync(given.path))))
    return given.names.map(([name, isTransposed]) => {
      const out = new Float32Array(pack.entries.get(name).size)
      pack.fill(name, out, 0, isTransposed)
      return list(out)
    })
  },
  async library() {  // similarities of a vector to a library with phrases of its own
    const pipeline = new Pipeline()
    pipeline.settings = {phrase_weight: given.weight}
    pipeline.takeLibrary(new Pack(await unzipped(new Uint8Array(readFileSync(given.path)))))
    return given.vectors.map(vector => {
      const similarity = pipeline.similarity(Float32Array.from(vector))
      return [list(similarity), pipeline.nearest(similarity, 8)]
    })
  },
  async text() {
    const pipeline = await loaded(), found = []
    for (const prompt of given) {
      const {ids, tokens, states, vector} = await pipeline.readText(pipeline.check(prompt))
      found.push({ids, tokens: list(tokens), states: list(states), vector: list(vector), similarity: list(pipeline.similarity(vector))})
    }
    return found
  },
  async predict() {
    const pipeline = await loaded(), all = []
    for (const {states, n, found, isShown, x, timestep} of given) {
      const context = await pipeline.context({states: Float32Array.from(states), n}, found, isShown)
      all.push(list(await pipeline.predict(x, context, timestep)))
    }
    return all
  },
  async generate() {
    const pipeline = await loaded(), found = []
    for (const request of given) {
      try {
        const poses = await pipeline.generate(request)
        found.push(poses.map(pose => ({...pose, joints: list(pose.joints), raw: list(pose.raw)})))
      } catch (error) { found.push({error: error.message}) }
    }
    return found
  },
  async times() {  // milliseconds of every stage: medians over prompts, after one that does not count
    const start = performance.now(), pipeline = await loaded(), load = performance.now() - start
    const own = pipeline.settings, laps = {}
    const lap = async (name, does) => {
      const begin = performance.now(), found = await does()
      ;(laps[name] ??= []).push(performance.now() - begin)
      return found
    }
    for (const prompt of given) {
      const seed = 7n, n = 1, words = await lap('text', () => pipeline.readText(pipeline.check(prompt)))
      const seen = await lap('look-up', () => [pipeline.lookUp(pipeline.similarity(words.vector), seed, 0, own.num_exemplars)])
      const context = await lap('exemplars', () => pipeline.context(words, seen, true))
      const noise = Float64Array.from(noiseOfPose(seed, 0))
      await lap('denoiser, one pass', () => pipeline.predict(noise, context, 499))
      const raw = canonical(pipeline.metres(noise, false))
      const joints = await lap('enforcement', () => pipeline.body.enforced(raw))
      await lap('score', () => pipeline.body.score(joints))
      await lap('one pose', () => pipeline.generate({prompt, n}))
      await lap('four poses', () => pipeline.generate({prompt, n: 4}))
    }
    const median = values => values.slice(1).sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]
    return {load, ...Object.fromEntries(Object.entries(laps).map(([name, values]) => [name, median(values)]))}
  },
  write() {
    const poses = given.map((joints, k) => ({joints: Float32Array.from(joints), prompt: `pose ${k}`, score: .5}))
    return {json: toJson(poses), bvh: toBvh(poses, new Body(numbers.body)), openpose: poses.map(pose => toOpenPose(pose))}
  },
  read: () => given.map(([text, name]) => attempt(() =>
    readPoses(text, name).map(pose => ({...pose, joints: list(pose.joints)})))),
}

writeFileSync(foundPath, JSON.stringify(await STAGES[stage]()))
