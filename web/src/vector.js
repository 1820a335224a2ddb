// Vectors are arrays of three numbers, matrices arrays of three rows.
export const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
export const sub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
export const scale = (a, s) => [a[0] * s, a[1] * s, a[2] * s]
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
export const cross = (a, b) =>
  [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
export const norm = a => Math.sqrt(dot(a, a))
export const unit = a => scale(a, 1 / Math.max(norm(a), 1e-12))
export const clip = (x, low, high) => Math.min(Math.max(x, low), high)
export const degrees = (y, x) => Math.atan2(y, x) * 180 / Math.PI
export const radians = d => d * Math.PI / 180
export const angle = (a, b) => degrees(norm(cross(a, b)), dot(a, b))

export const EYE = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
export const transpose = A => [0, 1, 2].map(i => [A[0][i], A[1][i], A[2][i]])
export const apply = (A, v) => [dot(A[0], v), dot(A[1], v), dot(A[2], v)]
export const applyTransposed = (A, v) =>
  [0, 1, 2].map(i => A[0][i] * v[0] + A[1][i] * v[1] + A[2][i] * v[2])
export const multiply = (A, B) => {
  const columns = transpose(B)
  return A.map(row => columns.map(column => dot(row, column)))
}
export const skew = v => [[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]]

/** The rotation by a vector, radians: Rodrigues' formula. */
export function rotation(v) {
  const size = Math.max(norm(v), 1e-9)
  const axis = scale(v, 1 / size)
  const c = Math.cos(size)
  const turned = skew(scale(axis, Math.sin(size)))
  return EYE.map((row, i) => row.map((one, j) => c * one + turned[i][j] + (1 - c) * axis[i] * axis[j]))
}

/** The inverse of `rotation`, for less than half a turn. */
export function turnVector(R) {
  const v = [(R[2][1] - R[1][2]) / 2, (R[0][2] - R[2][0]) / 2, (R[1][0] - R[0][1]) / 2]
  const sine = norm(v)
  return scale(v, Math.atan2(sine, (R[0][0] + R[1][1] + R[2][2] - 1) / 2) / Math.max(sine, 1e-12))
}

/** v turned by the smallest rotation that takes unit vector a to unit vector b. */
export function turn(a, b, v) {
  const axis = cross(a, b)
  const w = cross(axis, v)
  return add(add(v, w), scale(cross(axis, w), 1 / Math.max(1 + dot(a, b), 1e-3)))
}

/** v turned about a unit axis by degrees. */
export function turnBy(v, axis, by) {
  const c = Math.cos(radians(by)), s = Math.sin(radians(by))
  return add(add(scale(v, c), scale(cross(axis, v), s)), scale(axis, dot(axis, v) * (1 - c)))
}

/** Solve A x = b, A symmetric and positive definite (rows), by Cholesky's method; A and b are overwritten. */
export function solve(A, b) {
  const n = b.length
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = A[i][j]
      for (let k = 0; k < j; k++) sum -= A[i][k] * A[j][k]
      A[i][j] = i === j ? Math.sqrt(Math.max(sum, 1e-300)) : sum / A[j][j]
    }
  }
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) b[i] -= A[i][k] * b[k]
    b[i] /= A[i][i]
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) b[i] -= A[k][i] * b[k]
    b[i] /= A[i][i]
  }
  return b
}
