import * as THREE from 'three'
export class PoseScene { constructor(element, options = {}) { this.three = THREE } }
