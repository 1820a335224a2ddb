import {PoseScene} from './scene.js'
export default {render({el}) { new PoseScene(el) }}
