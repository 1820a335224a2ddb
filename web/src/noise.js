// The random numbers of NumPy and PyTorch that the Python pipeline draws, written again.

const MASK64 = (1n << 64n) - 1n
const MASK128 = (1n << 128n) - 1n

// ---------------------------------------------------------------- seeds: numpy.random.SeedSequence

const POOL_SIZE = 4

// Parts of 32 bits of a number >= 0, the lowest first.
function words32(number) {
  let rest = BigInt(number)
  const words = [Number(rest & 0xffffffffn)]
  while ((rest >>= 32n) > 0n) words.push(Number(rest & 0xffffffffn))
  return words
}

// A hash whose multiplier changes from call to call.
function hasher(init, multiplier) {
  let constant = init
  return value => {
    value ^= constant
    constant = Math.imul(constant, multiplier)
    value = Math.imul(value, constant)
    return (value ^ (value >>> 16)) >>> 0
  }
}

function mix(x, y) {
  const result = Math.imul(x, 0xca01f9dd) - Math.imul(y, 0x4973f715)
  return (result ^ (result >>> 16)) >>> 0
}

// `SeedSequence(keys).generate_state(n)`: n whole numbers of 32 bits; keys are numbers or BigInts.
export function seedWords(keys, n) {
  const entropy = keys.flatMap(words32)
  const hash = hasher(0x43b0d7e5, 0x931e8875)
  const pool = Array.from({length: POOL_SIZE}, (_, i) => hash(i < entropy.length ? entropy[i] : 0))
  for (let from = 0; from < POOL_SIZE; from++)
    for (let to = 0; to < POOL_SIZE; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]))
  for (const word of entropy.slice(POOL_SIZE))
    for (let to = 0; to < POOL_SIZE; to++) pool[to] = mix(pool[to], hash(word))
  const output = hasher(0x8b51f9dd, 0x58f38ded)
  return Array.from({length: n}, (_, i) => output(pool[i % POOL_SIZE]))
}

const joined = (low, high) => (BigInt(high) << 32n) | BigInt(low)

// ---------------------------------------------------------------- numpy.random.PCG64

const PCG_MULTIPLIER = (2549297995355413924n << 64n) | 4865540595714422341n

class Pcg64 {
  constructor(keys) {
    const words = seedWords(keys, 8)
    const [a, b, c, d] = [0, 2, 4, 6].map(i => joined(words[i], words[i + 1]))
    this.increment = ((((c << 64n) | d) << 1n) | 1n) & MASK128
    this.state = 0n
    this.step()
    this.state = (this.state + ((a << 64n) | b)) & MASK128
    this.step()
    this.high = null
  }

  step() { this.state = (this.state * PCG_MULTIPLIER + this.increment) & MASK128 }

  next32() {
    if (this.high !== null) {
      const high = this.high
      this.high = null
      return high
    }
    this.step()
    const folded = (this.state >> 64n) ^ (this.state & MASK64)
    const turn = this.state >> 122n
    const value = ((folded >> turn) | (folded << ((64n - turn) & 63n))) & MASK64
    this.high = Number(value >> 32n)
    return Number(value & 0xffffffffn)
  }

  nextFloat() { return (this.next32() >>> 8) / 16777216 }
}

// ---------------------------------------------------------------- the ziggurat of Generator.standard_normal(float32)

const TAIL = 3.6541528853610088, AREA = 0.004928673233974658, N_LAYERS = 256, UNIT = 2 ** 23

// How numpy's tables are made (Marsaglia & Tsang 2000): edges of the layers, scaled and in shares, and their heights.
function zigguratTables() {
  const density = x => Math.exp(-.5 * x * x)
  const accept = new Uint32Array(N_LAYERS), width = new Float32Array(N_LAYERS), height = new Float32Array(N_LAYERS)
  const base = AREA / density(TAIL)
  accept[0] = Math.round(TAIL / base * UNIT)
  width[0] = base / UNIT
  width[N_LAYERS - 1] = TAIL / UNIT
  height[0] = 1
  height[N_LAYERS - 1] = density(TAIL)
  let edge = TAIL, outer = TAIL
  for (let i = N_LAYERS - 2; i > 0; i--) {
    edge = Math.sqrt(-2 * Math.log(AREA / edge + density(edge)))
    accept[i + 1] = Math.round(edge / outer * UNIT)
    outer = edge
    height[i] = density(edge)
    width[i] = edge / UNIT
  }
  return {accept, width, height}
}

let tables = null
const f32 = Math.fround

function standardNormal(generator) {
  const {accept, width, height} = tables ??= zigguratTables()
  for (;;) {
    const bits = generator.next32()
    const layer = bits & 0xff, isNegative = (bits >> 8) & 1, place = bits >>> 9
    const size = f32(place * width[layer]), x = isNegative ? -size : size
    if (place < accept[layer]) return x
    if (layer === 0) {
      for (;;) {
        const beyond = f32(-f32(1 / TAIL) * f32(Math.log1p(-generator.nextFloat())))
        const y = f32(-f32(Math.log1p(-generator.nextFloat())))
        if (y + y > f32(beyond * beyond)) return (place >> 8) & 1 ? -f32(f32(TAIL) + beyond) : f32(f32(TAIL) + beyond)
      }
    }
    const step = f32(f32(height[layer - 1] - height[layer]) * generator.nextFloat())
    if (f32(step + height[layer]) < Math.exp(-.5 * x * x)) return x
  }
}

// `np.random.default_rng(keys).standard_normal(n, np.float32)`
export function numpyNormal(keys, n) {
  const generator = new Pcg64(keys)
  return Float32Array.from({length: n}, () => standardNormal(generator))
}

// ---------------------------------------------------------------- torch.randn: the Mersenne twister, Box-Muller

const N = 624, M = 397

class MersenneTwister {
  constructor(seed) {
    this.state = new Uint32Array(N)
    this.state[0] = seed >>> 0
    for (let i = 1; i < N; i++) {
      const last = this.state[i - 1] ^ (this.state[i - 1] >>> 30)
      this.state[i] = Math.imul(1812433253, last) + i
    }
    this.place = N
  }

  refill() {
    const s = this.state
    for (let i = 0; i < N; i++) {
      const y = (s[i] & 0x80000000) | (s[(i + 1) % N] & 0x7fffffff)
      s[i] = s[(i + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
    }
    this.place = 0
  }

  next32() {
    if (this.place === N) this.refill()
    let y = this.state[this.place++]
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    return (y ^ (y >>> 18)) >>> 0
  }

  nextFloat() { return (this.next32() & 0xffffff) / 16777216 }
}

// 16 uniform numbers become 16 normal ones: the first eight are radii, the others angles.
function boxMuller16(values, start) {
  for (let j = start; j < start + 8; j++) {
    const radius = f32(Math.sqrt(f32(-2 * f32(Math.log(f32(1 - values[j]))))))
    const angle = f32(f32(2 * Math.PI) * values[j + 8])
    values[j] = radius * Math.cos(angle)
    values[j + 8] = radius * Math.sin(angle)
  }
}

// `torch.randn(n, generator=torch.Generator().manual_seed(seed))` on the CPU, for n >= 16; seed is a BigInt.
export function torchNormal(seed, n) {
  const twister = new MersenneTwister(Number(seed & 0xffffffffn))
  const values = Float32Array.from({length: n}, () => twister.nextFloat())
  for (let i = 0; i + 16 <= n; i += 16) boxMuller16(values, i)
  if (n % 16) {
    for (let i = n - 16; i < n; i++) values[i] = twister.nextFloat()
    boxMuller16(values, n - 16)
  }
  return values
}

// ---------------------------------------------------------------- what the pipeline draws of seed and number of a pose

// `_noise_of_pose` of 04_cfg: 66 normal numbers.
export function noiseOfPose(seed, j) {
  const [low, high] = seedWords([seed, j], 2)
  return torchNormal(joined(low, high) >> 1n, 66)
}

// `_is_mirrored`: a coin.
export function isMirrored(seed, j) { return (seedWords([seed, j, 1], 1)[0] & 1) === 1 }

const RANK_NOISE = f32(.03)

// `_ranking_noise`: what the similarities of n poses are shaken by.
export function rankingNoise(seed, j, n) { return numpyNormal([seed, j, 2], n).map(v => v * RANK_NOISE) }
