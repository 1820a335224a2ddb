import './editor.css'
import {PoseScene} from './scene.js'
export {PoseScene} from './scene.js'
export * as skeleton from './skeleton.js'
export default {render({el}) { new PoseScene(el) }}
