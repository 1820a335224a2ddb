// Bodies in three dimensions: a canvas of cells, one pose in each, turned together; picking and dragging.
// Poses are canonical (Z up, facing -Y); three.js has Y up, so that (x, y, z) is drawn at (x, z, -y).
import {
  BackSide, BufferAttribute, BufferGeometry, Color, CustomBlending, DataTexture, DynamicDrawUsage, EqualDepth,
  FrontSide, Group, InstancedBufferAttribute, InstancedBufferGeometry, LinearFilter, Mesh, OneFactor,
  OneMinusSrcAlphaFactor, PerspectiveCamera, PlaneGeometry, Points, Raycaster, RedFormat, Scene, ShaderMaterial,
  Vector2, Vector3, WebGLRenderer, ZeroFactor,
} from 'three'
import {bodyCapsules, lowest, N_PARTS, PART_COLORS, PART_DEPTHS} from './body.js'
import {DRAGGABLE, NAMES, N_JOINTS} from './skeleton.js'

export const VIEWS = {
  front: [0, 8], side: [90, 6], behind: [180, 8], top: [0, 80], 'three-quarter': [35, 12],
}
const FLAT = 3 * N_JOINTS
const FIELD = 26, MARGIN = 1.1             // degrees of the camera, space around the bodies
const PAPER = '#f4f4f5', GHOST = '#8fa0b8'
const NO_WEBGL = 'This browser draws nothing in three dimensions: WebGL is missing or switched off.'
const TITLE_HEIGHT = 22                    // pixels
const REST = 300                           // milliseconds without a change, until a slow picture is drawn again, finely
const PICK = {mouse: 14, touch: 26}        // pixels from a joint that still count
const N_SPOTS = 3, SPOT_REACH = 3          // shadow spots a capsule, standard deviations that are drawn
const FLOOR_SIZE = 2.6, SHADOW_TEXELS = 112 // metres of the floor, texels of its shadow along a side

const toThree = ([x, y, z]) => new Vector3(x, z, -y)
const fromThree = v => [v.x, -v.z, v.y]

const CAPSULE_VERTEX = `
attribute vec4 start, end;
attribute vec4 tint;
uniform float grow, behind;
varying vec3 vNormal, vView, vTint;
varying float vHeight;
void main() {
  vec3 along = end.xyz - start.xyz;
  float size = max(length(along), 1e-5);
  vec3 u = length(along) > 1e-5 ? along / size : vec3(0., 1., 0.);
  float ra = start.w + grow, rb = end.w + grow;
  float tilt = asin(clamp((ra - rb) / size, -1., 1.));
  float latitude = position.z < .5 ? mix(-1.5707963, tilt, position.x) : mix(tilt, 1.5707963, position.x);
  vec3 side = normalize(abs(u.y) < .9 ? cross(u, vec3(0., 1., 0.)) : cross(u, vec3(1., 0., 0.)));
  vec3 n = cos(latitude) * (cos(position.y) * side + sin(position.y) * cross(u, side)) + sin(latitude) * u;
  vec3 p = position.z < .5 ? start.xyz + ra * n : end.xyz + rb * n;
  vec4 world = modelMatrix * vec4(p, 1.);
  vec4 view = viewMatrix * world;
  view.xyz *= 1. + (behind + tint.w) / length(view.xyz);
  vHeight = world.y;
  vNormal = normalMatrix * n;
  vView = view.xyz;
  vTint = tint.rgb;
  gl_Position = projectionMatrix * view;
}`

const CAPSULE_FRAGMENT = `
uniform float opacity;
varying vec3 vNormal, vView, vTint;
varying float vHeight;
void main() {
  vec3 n = normalize(vNormal), eye = normalize(-vView);
  vec3 lamp = normalize(vec3(-.45, .72, .55));
  float light = dot(n, lamp);
  float wrapped = pow(clamp(light * .6 + .4, 0., 1.), 1.35);
  vec3 sky = mix(vec3(.50, .49, .53), vec3(.66, .68, .71), n.y * .5 + .5);
  float near = 1. - .28 * exp(-max(vHeight, 0.) / .07);
  vec3 color = vTint * (sky * near + vec3(.62, .59, .55) * wrapped);
  float gleam = pow(max(dot(n, normalize(lamp + eye)), 0.), 26.);
  float rim = pow(1. - max(dot(n, eye), 0.), 3.);
  color += .11 * gleam + .10 * rim * vec3(.8, .9, 1.);
  gl_FragColor = vec4(min(color, 1.), opacity);
}`

const OUTLINE_FRAGMENT = `
varying vec3 vTint;
void main() { gl_FragColor = vec4(vTint * .36, 1.); }`

const FLOOR_VERTEX = `
varying vec2 vAt;
void main() {
  vAt = position.xy;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position.x, 0., -position.y, 1.);
}`

const FLOOR_FRAGMENT = `
varying vec2 vAt;
uniform sampler2D shadow;
float line(float x, float every) {
  float d = abs(fract(x / every - .5) - .5) * every, w = fwidth(x);
  return clamp(1.2 - d / max(w, 1e-5), 0., 1.) * clamp(.06 / max(w, 1e-5), 0., 1.);
}
void main() {
  float r = length(vAt), fade = 1. - smoothstep(.55, 1.05, r);
  float grid = max(line(vAt.x, .25), line(vAt.y, .25));
  vec3 color = mix(vec3(.905, .908, .915), vec3(.78, .79, .81), .75 * grid);
  float ahead = -vAt.y - .56, half_width = .085 * (1. - ahead / .15);
  float edge = fwidth(vAt.x) + 1e-5;
  float inside = step(0., ahead) * step(ahead, .15) * clamp((half_width - abs(vAt.x)) / edge + .5, 0., 1.);
  color = mix(color, vec3(.47, .52, .6), inside);
  float shade = texture2D(shadow, vAt / ${FLOOR_SIZE.toFixed(1)} + .5).r;
  float light = 1. - shade;
  gl_FragColor = vec4(color * fade * light, 1. - (1. - fade) * light);
}`

const HANDLE_VERTEX = `
attribute vec4 look;
attribute float pixels;
uniform float ratio;
varying vec4 vLook;
void main() {
  vLook = look;
  gl_PointSize = pixels * ratio;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.);
}`

const HANDLE_FRAGMENT = `
varying vec4 vLook;
void main() {
  vec2 p = gl_PointCoord * 2. - 1.;
  float d = vLook.w > .5 ? max(abs(p.x), abs(p.y)) : length(p);
  if (d > 1.) discard;
  gl_FragColor = vec4(d > .62 ? vec3(1.) : vLook.rgb, d > .62 ? .95 : .9);
}`

let software
/** Whether the processor draws, for want of a graphics card. */
function drawsInSoftware() {
  if (software !== undefined) return software
  const gl = document.createElement('canvas').getContext('webgl2')
  const info = gl?.getExtension('WEBGL_debug_renderer_info')
  const name = gl ? gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER) : ''
  gl?.getExtension('WEBGL_lose_context')?.loseContext()
  software = /swiftshader|llvmpipe|software|basic render/i.test(name)
  return software
}

/** Rings of a capsule; position holds share of a cap, longitude, and which end. */
function capsuleTemplate(rings, around) {
  const points = [], faces = []
  for (const end of [0, 1]) {
    for (let i = 0; i <= rings; i++) {
      for (let k = 0; k <= around; k++) points.push(i / rings, 2 * Math.PI * k / around, end)
    }
  }
  const row = around + 1
  for (let i = 0; i < 2 * rings + 1; i++) {
    for (let k = 0; k < around; k++) {
      const a = i * row + k
      faces.push(a, a + 1, a + row, a + 1, a + row + 1, a + row)
    }
  }
  return {points: new Float32Array(points), faces}
}
const COARSE = capsuleTemplate(4, 14), MEDIUM = capsuleTemplate(5, 20), FINE = capsuleTemplate(14, 44)
const CLOSE = 2.2, FEW = 3 // zoom from which on a body is drawn fine, poses up to which it is drawn less coarse

const dynamic = (array, size) => {
  const attribute = new InstancedBufferAttribute(array, size)
  attribute.setUsage(DynamicDrawUsage)
  return attribute
}

/** What is drawn for one pose: capsules, their outline, their shadow. */
class Figure {
  constructor(materials, ghost, template) {
    this.group = new Group()
    this.template = template
    this.starts = new Float32Array(4 * N_PARTS)
    this.ends = new Float32Array(4 * N_PARTS)
    const geometry = this.geometry = new InstancedBufferGeometry()
    geometry.setAttribute('position', new BufferAttribute(template.points, 3))
    geometry.setIndex(template.faces)
    geometry.setAttribute('start', dynamic(this.starts, 4))
    geometry.setAttribute('end', dynamic(this.ends, 4))
    geometry.setAttribute('tint', new InstancedBufferAttribute(this.tints(ghost), 4))
    geometry.instanceCount = N_PARTS
    const layers = ghost ? [[materials.depth, 1], [materials.ghost, 2]] : [[materials.outline, 0], [materials.body, 0]]
    for (const [material, order] of layers) this.put(geometry, material, order)
    if (ghost) return
    this.texture = new DataTexture(new Uint8Array(SHADOW_TEXELS ** 2), SHADOW_TEXELS, SHADOW_TEXELS, RedFormat)
    this.texture.minFilter = this.texture.magFilter = LinearFilter
  }

  tints(ghost) {
    const out = new Float32Array(4 * N_PARTS), pale = new Color().setStyle(GHOST, '')
    PART_COLORS.forEach((style, i) => {
      const color = new Color().setStyle(style, '')
      if (ghost) color.lerp(pale, .65)
      out.set([color.r, color.g, color.b, PART_DEPTHS[i]], 4 * i)
    })
    return out
  }

  put(geometry, material, order) {
    const mesh = new Mesh(geometry, material)
    mesh.frustumCulled = false
    mesh.renderOrder = order
    this.group.add(mesh)
    return mesh
  }

  /** Capsules of a pose, and where it stands: an offset in metres, axes of the pose. */
  set(capsules, place) {
    this.capsules = capsules
    for (let i = 0; i < N_PARTS; i++) {
      for (const [array, at] of [[this.starts, 8 * i], [this.ends, 8 * i + 4]]) {
        array[4 * i] = capsules[at] + place[0]
        array[4 * i + 1] = capsules[at + 2] + place[2]
        array[4 * i + 2] = -capsules[at + 1] - place[1]
        array[4 * i + 3] = capsules[at + 3]
      }
    }
    this.geometry.getAttribute('start').needsUpdate = true
    this.geometry.getAttribute('end').needsUpdate = true
    if (this.texture) {
      this.texture.image.data.set(this.shadow())
      this.texture.needsUpdate = true
    }
  }

  /** Darkness of the floor: soft spots below each capsule, the sharper and darker the nearer it is. */
  shadow() {
    const n = SHADOW_TEXELS, sum = new Float32Array(n * n)
    const add = (x, y, width, dark) => {
      if (dark < .004) return
      const at = v => (v / FLOOR_SIZE + .5) * n - .5, w = width / FLOOR_SIZE * n
      const range = c => [Math.max(Math.ceil(c - SPOT_REACH * w), 0), Math.min(Math.floor(c + SPOT_REACH * w), n - 1)]
      const cx = at(x), cy = at(y), [x0, x1] = range(cx), [y0, y1] = range(cy)
      const bell = (i, c) => Math.exp(-((i - c) ** 2) / (2 * w * w))
      const across = Array.from({length: Math.max(x1 - x0 + 1, 0)}, (_, i) => bell(x0 + i, cx))
      for (let j = y0; j <= y1; j++) {
        const row = dark * bell(j, cy)
        for (let i = x0; i <= x1; i++) sum[n * j + i] += row * across[i - x0]
      }
    }
    for (let i = 0; i < N_PARTS; i++) {
      for (let k = 0; k < N_SPOTS; k++) {
        const mix = c => this.starts[4 * i + c] + k / (N_SPOTS - 1) * (this.ends[4 * i + c] - this.starts[4 * i + c])
        const r = mix(3), height = Math.max(mix(1) - r, 0), wide = r + .3 * height
        add(mix(0), -mix(2), wide, .09 * (r / wide) ** 2 * Math.exp(-height / .8))
        add(mix(0), -mix(2), .7 * r + .1 * height, .6 * Math.exp(-height / .04))
      }
    }
    return Uint8Array.from(sum, v => 255 * (1 - Math.exp(-.75 * v)))
  }

  dispose() {
    this.geometry.dispose()
    this.texture?.dispose()
  }
}

function makeMaterials() {
  const common = {vertexShader: CAPSULE_VERTEX, fragmentShader: CAPSULE_FRAGMENT}
  const make = (options, grow = 0, behind = 0, opacity = 1) => {
    const uniforms = {grow: {value: grow}, behind: {value: behind}, opacity: {value: opacity}}
    return new ShaderMaterial({...options, uniforms})
  }
  return {
    body: make({...common, side: FrontSide}),
    outline: make({...common, fragmentShader: OUTLINE_FRAGMENT, side: BackSide}, .006, .025),
    depth: make({...common, side: FrontSide, colorWrite: false}),
    ghost: make({...common, side: FrontSide, transparent: true, depthWrite: false, depthFunc: EqualDepth}, 0, 0, .38),
    floor: new ShaderMaterial({
      vertexShader: FLOOR_VERTEX, fragmentShader: FLOOR_FRAGMENT, depthWrite: false, depthTest: false, side: 2,
      blending: CustomBlending, blendSrc: OneFactor, blendDst: OneMinusSrcAlphaFactor, blendSrcAlpha: ZeroFactor,
      blendDstAlpha: OneFactor, uniforms: {shadow: {value: null}},
    }),
    handle: new ShaderMaterial({
      vertexShader: HANDLE_VERTEX, fragmentShader: HANDLE_FRAGMENT, transparent: true, depthTest: false,
      depthWrite: false, uniforms: {ratio: {value: 1}},
    }),
  }
}

const STATES = { // of a joint: colour, square or round, pixels
  free: ['#3d4656', 0, 10], hovered: ['#f2a33c', 0, 15], selected: ['#f2a33c', 0, 14], pinned: ['#222831', 1, 13],
}

/**
 * A canvas in `element`. options: editable; onHover(pose, joint), onSelect(pose, joint), onCamera(camera),
 * onDrag(pose, joint, [x, y, z], phase) with phase 'start', 'move' or 'end'; all optional, numbers or null.
 */
export class PoseScene {
  constructor(element, options = {}) {
    this.element = element
    this.options = options
    this.editable = Boolean(options.editable)
    this.camera = {azimuth: 35, elevation: 12, zoom: 1, pan: [0, 0]}
    this.names = []
    this.poses = new Float32Array(0)
    this.places = []
    this.figures = []
    this.ghosts = []
    this.active = 0
    this.selected = this.hovered = null
    this.pinned = new Set()
    this.pointers = new Map()
    this.buildPage()
    this.buildScene()
    this.listen()
    this.resize()
  }

  get n() { return this.poses.length / FLAT }

  buildPage() {
    const make = (tag, name, parent) => {
      const found = document.createElement(tag)
      found.className = name
      parent.appendChild(found)
      return found
    }
    this.root = make('div', 't2p-scene', this.element)
    this.canvas = make('canvas', 't2p-canvas', this.root)
    this.canvas.tabIndex = 0
    this.canvas.setAttribute('role', 'img')
    this.canvas.setAttribute('aria-label', 'Poses in three dimensions')
    this.titles = make('div', 't2p-titles', this.root)
    this.tip = make('div', 't2p-tip', this.root)
    this.tip.hidden = true
  }

  buildScene() {
    const slow = drawsInSoftware()
    try {
      this.renderer = new WebGLRenderer({canvas: this.canvas, antialias: !slow, preserveDrawingBuffer: true})
    } catch {
      this.root.textContent = NO_WEBGL
      throw new Error(NO_WEBGL)
    }
    const ratio = Math.min(window.devicePixelRatio || 1, 2)
    this.ratios = slow ? {moving: 1, still: 2} : {moving: ratio, still: ratio}
    this.renderer.setClearColor(new Color(PAPER), 1)
    this.renderer.autoClear = false
    this.scene = new Scene()
    this.view = new PerspectiveCamera(FIELD, 1, .05, 60)
    this.materials = makeMaterials()
    this.floor = new Mesh(new PlaneGeometry(FLOOR_SIZE, FLOOR_SIZE), this.materials.floor)
    this.floor.frustumCulled = false
    this.floor.renderOrder = -2
    this.scene.add(this.floor)
    const geometry = new BufferGeometry()
    geometry.setAttribute('position', new BufferAttribute(new Float32Array(3 * N_JOINTS), 3))
    geometry.setAttribute('look', new BufferAttribute(new Float32Array(4 * N_JOINTS), 4))
    geometry.setAttribute('pixels', new BufferAttribute(new Float32Array(N_JOINTS), 1))
    this.handles = new Points(geometry, this.materials.handle)
    this.handles.frustumCulled = false
    this.handles.renderOrder = 5
    this.scene.add(this.handles)
  }

  /**
   * Show poses, a Float32Array of 66 numbers each. keep: leave the camera's frame and where bodies stand.
   * group: so many belong together, and rows hold whole groups where they can.
   */
  setPoses(flat, names = this.names, {keep = false, group = 1} = {}) {
    this.poses = Float32Array.from(flat)
    this.group = group
    this.names = names
    this.match(this.figures, this.n, false)
    keep = keep && this.places.length === this.n
    for (let i = 0; i < this.n; i++) {
      const capsules = bodyCapsules(this.pose(i))
      if (!keep) this.places[i] = [0, 0, -lowest(capsules)]
      this.figures[i].set(capsules, this.places[i])
    }
    this.places.length = this.n
    this.active = Math.min(this.active, Math.max(this.n - 1, 0))
    if (!keep) this.fit()
    this.placeGhosts()
    this.writeTitles()
    this.invalidate()
  }

  /** One pose again. place: where it stands, metres; the same place by default. */
  setPose(i, flat, place = this.places[i]) {
    this.poses.set(flat, FLAT * i)
    this.places[i] = place
    this.figures[i].set(bodyCapsules(this.pose(i)), place)
    this.invalidate()
  }

  pose(i) { return this.poses.slice(FLAT * i, FLAT * i + FLAT) }

  /** Let a pose stand on the floor. */
  settle(i) {
    const [x, y] = this.places[i]
    this.setPose(i, this.pose(i), [x, y, -lowest(this.figures[i].capsules)])
  }

  /** Translucent poses; the k-th stands with pose k modulo n, pelvis on pelvis. */
  setGhosts(flat) {
    this.ghostPoses = Float32Array.from(flat)
    this.match(this.ghosts, this.ghostPoses.length / FLAT, true)
    this.placeGhosts()
    this.invalidate()
  }

  placeGhosts() {
    this.ghosts.forEach((ghost, k) => {
      const place = this.places[k % Math.max(this.n, 1)] ?? [0, 0, 0]
      ghost.set(bodyCapsules(this.ghostPoses.slice(FLAT * k, FLAT * k + FLAT)), place)
    })
  }

  match(figures, n, ghost) {
    const template = n > FEW ? COARSE : this.camera.zoom > CLOSE ? FINE : MEDIUM
    while (figures.length > n || figures.length && figures[0].template !== template) {
      const figure = figures.pop()
      this.scene.remove(figure.group)
      figure.dispose()
    }
    while (figures.length < n) {
      const figure = new Figure(this.materials, ghost, template)
      this.scene.add(figure.group)
      figures.push(figure)
    }
  }

  /** Capsules as fine as the zoom asks for. */
  refine() {
    const before = this.figures[0]
    this.match(this.figures, this.n, false)
    if (this.figures[0] === before) return
    this.figures.forEach((figure, i) => figure.set(bodyCapsules(this.pose(i)), this.places[i]))
  }

  setNames(names) {
    this.names = names
    this.writeTitles()
  }

  setEditable(editable) {
    this.editable = editable
    this.invalidate()
  }

  setSelection(pose, joint) {
    this.active = pose ?? this.active
    this.selected = joint
    this.writeTitles()
    this.invalidate()
  }

  setPinned(joints) {
    this.pinned = new Set(joints)
    this.invalidate()
  }

  setCamera(camera) {
    Object.assign(this.camera, camera)
    if (this.n) this.refine()
    this.invalidate()
  }

  setView(name) {
    const [azimuth, elevation] = VIEWS[name]
    this.moveCamera({azimuth, elevation, zoom: 1, pan: [0, 0]})
  }

  moveCamera(camera) {
    this.setCamera(camera)
    this.options.onCamera?.({...this.camera})
  }

  orbit(right, up) {
    const {azimuth, elevation} = this.camera
    this.moveCamera({
      azimuth: ((azimuth + right + 180) % 360 + 360) % 360 - 180,
      elevation: Math.min(Math.max(elevation + up, -80), 89),
    })
  }

  zoomBy(factor) { this.moveCamera({zoom: Math.min(Math.max(this.camera.zoom * factor, .3), 12)}) }

  panBy(right, up) {
    const {pan, zoom} = this.camera, share = 2 * this.radius / zoom / Math.max(this.cell(0).height, 1)
    this.moveCamera({pan: [pan[0] - right * share, pan[1] - up * share]})
  }

  /** Choose a frame that holds every pose from every side. */
  fit() {
    let radius = .55
    this.middles = this.figures.map((figure, i) => {
      const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity], c = figure.capsules
      for (let k = 0; k < c.length; k += 4) {
        for (const a of [0, 1, 2]) {
          low[a] = Math.min(low[a], c[k + a] - c[k + 3])
          high[a] = Math.max(high[a], c[k + a] + c[k + 3])
        }
      }
      const middle = low.map((v, a) => (v + high[a]) / 2 + this.places[i][a])
      for (let k = 0; k < c.length; k += 4) {
        const off = [0, 1, 2].map(a => c[k + a] + this.places[i][a] - middle[a])
        radius = Math.max(radius, Math.hypot(...off) + c[k + 3])
      }
      return middle
    })
    this.radius = Math.min(radius, 3)
    this.invalidate()
  }

  // cells

  layout() {
    const {width, height} = this.size, n = Math.max(this.n, 1)
    let best = {columns: 1, side: 0}
    for (let columns = 1; columns <= n; columns++) {
      const rows = Math.ceil(n / columns)
      const side = Math.min(width / columns / .8, height / rows - TITLE_HEIGHT)
      if (side > best.side) best = {columns, side}
    }
    const {group = 1} = this, groups = Math.max(Math.round(best.columns / group), 1)
    return group > 1 && n > group && best.columns > group / 2 ? Math.min(groups * group, n) : best.columns
  }

  cell(i) {
    const columns = this.columns, rows = Math.ceil(Math.max(this.n, 1) / columns)
    const width = this.size.width / columns, height = this.size.height / rows
    return {x: (i % columns) * width, y: Math.floor(i / columns) * height, width, height: height - TITLE_HEIGHT}
  }

  cellAt(x, y) {
    for (let i = 0; i < this.n; i++) {
      const c = this.cell(i)
      if (x >= c.x && x < c.x + c.width && y >= c.y && y < c.y + c.height + TITLE_HEIGHT) return i
    }
    return null
  }

  writeTitles() {
    this.columns = this.layout()
    this.titles.replaceChildren()
    this.canvas.setAttribute('aria-label', `${this.n} poses in three dimensions: ${this.names.join(', ')}`)
    for (let i = 0; i < this.n; i++) {
      const {x, y, width, height} = this.cell(i)
      const title = document.createElement('div')
      title.className = 't2p-title' + (this.n > 1 && i === this.active ? ' t2p-active' : '')
      title.textContent = this.names[i] ?? ''
      title.title = this.names[i] ?? ''
      Object.assign(title.style, {left: `${x}px`, top: `${y + height}px`, width: `${width}px`})
      this.titles.appendChild(title)
    }
  }

  /** Point the camera at a pose's cell. */
  aim(i) {
    const {azimuth, elevation, zoom, pan} = this.camera
    const {width, height} = this.cell(i), aspect = width / height
    const a = azimuth * Math.PI / 180, e = elevation * Math.PI / 180
    const back = new Vector3(Math.sin(a) * Math.cos(e), Math.sin(e), Math.cos(a) * Math.cos(e))
    const right = new Vector3(Math.cos(a), 0, -Math.sin(a)), up = new Vector3().crossVectors(back, right)
    const half = Math.tan(FIELD / 2 * Math.PI / 180)
    const distance = MARGIN * this.radius / Math.sin(Math.atan(half * Math.min(1, aspect * 1.25))) / zoom
    const target = toThree(this.middles?.[i] ?? [0, 0, .9])
    target.y -= .05 * this.radius // room for the floor and the title
    target.addScaledVector(right, pan[0]).addScaledVector(up, pan[1])
    this.view.aspect = aspect
    this.view.up.copy(up)
    this.view.position.copy(target).addScaledVector(back, distance)
    this.view.lookAt(target)
    this.view.near = Math.max(distance - 6, .02)
    this.view.far = distance + 8
    this.view.updateProjectionMatrix()
    this.view.updateMatrixWorld()
  }

  // drawing

  invalidate() {
    if (this.asked || this.gone) return
    this.asked = requestAnimationFrame(() => {
      this.asked = null
      this.draw(false)
      clearTimeout(this.rest)
      if (this.ratios.still !== this.ratios.moving) this.rest = setTimeout(() => this.draw(), REST)
    })
  }

  /** fine: as well as can be, else as fast. */
  draw(fine = true) {
    if (this.gone || !this.size.width || !this.size.height) return
    const ratio = fine ? this.ratios.still : this.ratios.moving
    if (ratio !== this.renderer.getPixelRatio()) this.renderer.setPixelRatio(ratio)
    this.materials.handle.uniforms.ratio.value = ratio
    this.columns = this.layout()
    this.renderer.setScissorTest(false)
    this.renderer.setViewport(0, 0, this.size.width, this.size.height)
    this.renderer.clear()
    this.renderer.setScissorTest(true)
    for (let i = 0; i < this.n; i++) {
      const {x, y, width, height} = this.cell(i)
      const bottom = this.size.height - y - height
      this.renderer.setViewport(x, bottom, width, height)
      this.renderer.setScissor(x, bottom, width, height)
      this.figures.forEach((figure, k) => { figure.group.visible = k === i })
      this.ghosts.forEach((ghost, k) => { ghost.group.visible = k % this.n === i })
      this.materials.floor.uniforms.shadow.value = this.figures[i].texture
      this.showHandles(i)
      this.aim(i)
      this.renderer.render(this.scene, this.view)
    }
  }

  jointAt(i, j) {
    const p = this.places[i]
    return [0, 1, 2].map(a => this.poses[FLAT * i + 3 * j + a] + p[a])
  }

  stateOf(i, j) {
    if (this.hovered && this.hovered[0] === i && this.hovered[1] === j) return 'hovered'
    if (i === this.active && j === this.selected) return 'selected'
    if (i === this.active && this.pinned.has(j)) return 'pinned'
    return this.editable && i === this.active && DRAGGABLE.includes(j) ? 'free' : null
  }

  showHandles(i) {
    const {position, look, pixels} = this.handles.geometry.attributes
    const small = Math.min(.6 + this.cell(i).height / 1000, 1)
    for (let j = 0; j < N_JOINTS; j++) {
      const state = this.stateOf(i, j)
      pixels.array[j] = 0
      if (!state) {
        position.setXYZ(j, 0, -1e3, 0)
        continue
      }
      const [style, square, size] = STATES[state], color = new Color().setStyle(style, '')
      const at = toThree(this.jointAt(i, j))
      position.setXYZ(j, at.x, at.y, at.z)
      look.setXYZW(j, color.r, color.g, color.b, square || this.pinned.has(j) && i === this.active ? 1 : 0)
      pixels.array[j] = size * small
    }
    position.needsUpdate = look.needsUpdate = pixels.needsUpdate = true
  }

  /** Where a joint is on the page, in pixels of the canvas. */
  toScreen(i, j) {
    this.aim(i)
    const {x, y, width, height} = this.cell(i)
    const v = toThree(this.jointAt(i, j)).project(this.view)
    return {x: x + (v.x + 1) / 2 * width, y: y + (1 - v.y) / 2 * height, depth: v.z}
  }

  /** Data URL of a PNG of what is shown. */
  picture() {
    this.draw()
    return this.canvas.toDataURL('image/png')
  }

  // picking

  ray(i, x, y) {
    const c = this.cell(i)
    this.aim(i)
    const caster = new Raycaster()
    caster.setFromCamera(new Vector2((x - c.x) / c.width * 2 - 1, 1 - (y - c.y) / c.height * 2), this.view)
    return {from: fromThree(caster.ray.origin), way: fromThree(caster.ray.direction)}
  }

  /** Point of the skin of pose i under the pointer, or null. */
  skinAt(i, x, y) {
    const {from, way} = this.ray(i, x, y), c = this.figures[i].capsules, p = this.places[i]
    let best = null
    for (let k = 0; k < c.length; k += 8) {
      for (let step = 0; step <= 6; step++) {
        const t = step / 6
        const centre = [0, 1, 2].map(a => c[k + a] + t * (c[k + 4 + a] - c[k + a]) + p[a])
        const r = c[k + 3] + t * (c[k + 7] - c[k + 3])
        const off = [0, 1, 2].map(a => centre[a] - from[a])
        const along = off[0] * way[0] + off[1] * way[1] + off[2] * way[2]
        const aside2 = off[0] ** 2 + off[1] ** 2 + off[2] ** 2 - along ** 2
        if (aside2 > r * r) continue
        const depth = along - Math.sqrt(r * r - aside2)
        if (!best || depth < best.depth) best = {depth, at: [0, 1, 2].map(a => from[a] + depth * way[a])}
      }
    }
    return best
  }

  /** Pose and joint under the pointer: a joint within reach, else the one nearest to the skin there. */
  pick(x, y, kind = 'mouse') {
    const i = this.cellAt(x, y)
    if (i === null) return null
    const within = PICK[kind] ?? PICK.mouse, skin = this.skinAt(i, x, y)
    let best = null
    for (let j = 0; j < N_JOINTS; j++) {
      const s = this.toScreen(i, j), off = Math.hypot(s.x - x, s.y - y)
      const prefer = this.editable && DRAGGABLE.includes(j) ? .7 : 1
      if (off <= within && (!best || prefer * off < best.off)) best = {off: prefer * off, joint: j, exact: true}
    }
    if (best) return {pose: i, joint: best.joint, exact: true}
    if (!skin) return {pose: i, joint: null, exact: false}
    const apart = NAMES.map((_, j) => Math.hypot(...this.jointAt(i, j).map((v, a) => v - skin.at[a])))
    return {pose: i, joint: apart.indexOf(Math.min(...apart)), exact: false}
  }

  // pointer

  listen() {
    const on = (target, name, does, options) => {
      const call = event => does.call(this, event)
      target.addEventListener(name, call, options)
      return () => target.removeEventListener(name, call, options)
    }
    this.stop = [
      on(this.canvas, 'pointerdown', this.pointerDown), on(this.canvas, 'pointermove', this.pointerMove),
      on(this.canvas, 'pointerup', this.pointerUp), on(this.canvas, 'pointercancel', this.pointerUp),
      on(this.canvas, 'pointerleave', () => this.hover(null)), on(this.canvas, 'contextmenu', e => e.preventDefault()),
      on(this.canvas, 'wheel', this.wheel, {passive: false}),
    ]
    this.observer = new ResizeObserver(() => this.resize())
    this.observer.observe(this.root)
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect()
    return {x: event.clientX - box.left, y: event.clientY - box.top}
  }

  pointerDown(event) {
    this.canvas.focus({preventScroll: true})
    try { this.canvas.setPointerCapture(event.pointerId) } catch { /* a pointer that is already gone */ }
    const {x, y} = this.place(event)
    this.pointers.set(event.pointerId, {x, y})
    if (this.pointers.size > 1) {
      this.endDrag()
      return
    }
    const found = this.pick(x, y, event.pointerType)
    this.press = {x, y, found, moved: false, pan: event.button === 2 || event.shiftKey}
    const draggable = this.editable && found?.exact && DRAGGABLE.includes(found.joint)
    if (draggable && event.button === 0 && !event.shiftKey) this.startDrag(found, x, y)
  }

  startDrag({pose, joint}, x, y) {
    this.drag = {pose, joint, from: this.jointAt(pose, joint), place: this.places[pose].slice(), x, y}
    this.hover(null)
    this.options.onSelect?.(pose, joint)
    this.options.onDrag?.(pose, joint, this.targetAt(x, y), 'start')
  }

  /** Where the dragged joint is to be, in the axes of its pose: on the plane through it that faces the camera. */
  targetAt(x, y) {
    const {pose, from, place, x: x0, y: y0} = this.drag
    const s = toThree(from), c = this.cell(pose)
    this.aim(pose)
    const v = s.project(this.view)
    v.x += 2 * (x - x0) / c.width
    v.y -= 2 * (y - y0) / c.height
    return fromThree(v.unproject(this.view)).map((p, a) => p - place[a])
  }

  pointerMove(event) {
    const {x, y} = this.place(event), before = this.pointers.get(event.pointerId)
    if (!before) {
      const found = this.pick(x, y, event.pointerType)
      this.hover(found?.joint === null ? null : found, x, y)
      return
    }
    this.pointers.set(event.pointerId, {x, y})
    if (this.pointers.size > 1) this.pinch(event.pointerId, before, {x, y})
    else if (this.drag) this.options.onDrag?.(this.drag.pose, this.drag.joint, this.targetAt(x, y), 'move')
    else if (this.press?.pan) this.panBy(x - before.x, before.y - y)
    else this.orbit((before.x - x) * .5, (y - before.y) * .4)
    if (this.press && Math.hypot(x - this.press.x, y - this.press.y) > 4) this.press.moved = true
  }

  pinch(id, before, now) {
    const other = [...this.pointers].find(([k]) => k !== id)[1]
    const apart = p => Math.max(Math.hypot(p.x - other.x, p.y - other.y), 1)
    this.zoomBy(apart(now) / apart(before))
    this.panBy((now.x - before.x) / 2, (before.y - now.y) / 2)
  }

  pointerUp(event) {
    const {x, y} = this.place(event)
    this.pointers.delete(event.pointerId)
    if (this.drag) this.endDrag(x, y)
    else if (this.press && !this.press.moved) {
      const {found} = this.press
      if (found) this.options.onSelect?.(found.pose, found.joint)
    }
    this.press = null
  }

  endDrag(x = this.drag?.x, y = this.drag?.y) {
    if (!this.drag) return
    const {pose, joint} = this.drag, target = this.targetAt(x, y), moved = this.press?.moved ?? false
    this.drag = null
    this.options.onDrag?.(pose, joint, target, moved ? 'end' : 'cancel')
  }

  wheel(event) {
    if (document.activeElement !== this.canvas && !event.ctrlKey) return // a page must stay scrollable
    event.preventDefault()
    this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? .05 : .0015)))
  }

  hover(found, x, y) {
    const next = found ? [found.pose, found.joint] : null
    const same = String(next) === String(this.hovered)
    this.hovered = next
    this.tip.hidden = !found
    if (found) {
      const at = [0, 1, 2].map(a => this.poses[FLAT * found.pose + 3 * found.joint + a].toFixed(2))
      this.tip.textContent = `${NAMES[found.joint].replace('_', ' ')}  (${at.join(', ')}) m`
      this.tip.style.left = `${Math.min(x + 14, Math.max(this.size.width - 190, 0))}px`
      this.tip.style.top = `${Math.max(y - 28, 2)}px`
      this.canvas.style.cursor = this.editable && found.exact && DRAGGABLE.includes(found.joint) ? 'grab' : 'pointer'
    } else this.canvas.style.cursor = ''
    if (same) return
    this.options.onHover?.(next ? next[0] : null, next ? next[1] : null)
    this.invalidate()
  }

  resize() {
    const width = Math.round(this.root.clientWidth), height = Math.round(this.root.clientHeight)
    if (this.size && width === this.size.width && height === this.size.height) return
    this.size = {width, height}
    if (!width || !height) return
    this.renderer.setSize(width, height, false)
    this.writeTitles()
    this.draw()
  }

  dispose() {
    this.gone = true
    if (this.asked) cancelAnimationFrame(this.asked)
    clearTimeout(this.rest)
    this.observer.disconnect()
    for (const stop of this.stop) stop()
    this.match(this.figures, 0, false)
    this.match(this.ghosts, 0, true)
    for (const material of Object.values(this.materials)) material.dispose()
    this.renderer.dispose()
    this.renderer.forceContextLoss()
    this.root.remove()
  }
}
