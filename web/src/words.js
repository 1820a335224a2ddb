// From a prompt to tokens: checks, the tokenizer of BERT, and whether a prompt names a side.

// ---------------------------------------------------------------- checks, as `check_prompts` of 03a_text

const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u

const lengthOf = text => Array.from(text).length  // in code points, as in Python

// A prompt, normalized; throws where it is no English text.
// latin: [first, last] of the ranges of Latin letters; longest: the most characters of a prompt, and of a word.
export function checkPrompt(prompt, {latin, longest}) {
  if (typeof prompt !== 'string') throw new Error('a prompt must be text')
  const shown = prompt.length > 60 ? prompt.slice(0, 60) + '…' : prompt
  if (lengthOf(prompt) > longest.prompt) {
    const [found, most] = [lengthOf(prompt), longest.prompt].map(n => n.toLocaleString('en-US'))
    throw new Error(`the prompt '${prompt.slice(0, 40)}…' has ${found} characters, at most ${most} are read`)
  }
  if (/\p{Cs}/u.test(prompt)) throw new Error(`the prompt '${shown}' is not valid text`)
  const text = prompt.normalize('NFKC')
  const letters = text.match(/\p{L}/gu) ?? []
  if (!letters.length)
    throw new Error(`the prompt '${shown}' holds no words; expected a short description such as "arms raised"`)
  const isLatin = letter => {
    const code = letter.codePointAt(0)
    return latin.some(([first, last]) => first <= code && code <= last)
  }
  const foreign = letters.find(letter => !isLatin(letter))
  if (foreign) throw new Error(
    `the prompt '${shown}' holds '${foreign}', which is not a Latin letter; the text encoder knows English only`)
  const words = text.split(SPACE).filter(Boolean), widest = Math.max(...words.map(lengthOf))
  if (widest > longest.word) throw new Error(
    `the prompt '${shown}' has a word of ${widest} letters; the text encoder reads words of at most ${longest.word}`)
  return words.join(' ')
}

// ---------------------------------------------------------------- BertNormalizer, BertPreTokenizer, WordPiece

const SPECIAL = /(\[(?:PAD|UNK|CLS|SEP|MASK)\])/u
const PUNCTUATION = /([!-/:-@[-`{-~\p{P}])/u
const LONGEST_WORD = 100  // characters; longer ones are unknown

export class Tokenizer {
  constructor(words) {  // the vocabulary: list of tokens, number by number
    this.ids = new Map(words.map((word, id) => [word, id]))
  }

  normalized(text) {
    const clean = text.replace(/[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}]/gu, '').replace(/\s/gu, ' ')
    const plain = clean.normalize('NFD').replace(/\p{Mn}/gu, '')
    return Array.from(plain, letter => letter.toLowerCase()).join('')
  }

  pieces(word) {
    const letters = Array.from(word), unknown = [this.ids.get('[UNK]')], ids = []
    if (letters.length > LONGEST_WORD) return unknown
    for (let start = 0; start < letters.length;) {
      const piece = end => this.ids.get((start ? '##' : '') + letters.slice(start, end).join(''))
      let end = letters.length, id
      while (end > start && (id = piece(end)) === undefined) end--
      if (id === undefined) return unknown
      ids.push(id)
      start = end
    }
    return ids
  }

  encode(text) {  // token ids, [CLS] and [SEP] included
    const ids = [this.ids.get('[CLS]')]
    for (const part of text.split(SPECIAL)) {
      if (SPECIAL.test(part)) ids.push(this.ids.get(part))
      else for (const chunk of this.normalized(part).split(' '))
        for (const word of chunk.split(PUNCTUATION)) if (word) ids.push(...this.pieces(word))
    }
    return [...ids, this.ids.get('[SEP]')]
  }
}

// ---------------------------------------------------------------- sides, as `mirror_words` of 00a_captions

const LETTER = '[\\p{L}\\p{Nl}\\p{No}]', WORD = '[\\p{L}\\p{N}_]'
const TOKEN = new RegExp([
  `${LETTER}+(?=n['’]t(?!${WORD}))`, `n['’]t(?!${WORD})`,
  `['’](?:s|re|ve|ll|d|m)(?!${WORD})`,
  '\\p{Nd}+(?:[.,]\\p{Nd}+)*',
  `${LETTER}+`,
  `(?<!approx)(?<!(?<!${WORD})ca)(?<!e\\.g)(?<!i\\.e)\\.(?!${WORD})`,
  '[!?;\\n]', '[,&]', '[()]',
  '(?<=\\s)[-–—]+(?=\\s)', ':(?=\\s)'].join('|'), 'giu')
const TURN = /(?<![\p{L}\p{N}])(?:(?:(?:counter|anti)[- ]?)?clock[- ]?wise|c?cw)(?![\p{L}\p{N}])/iu
const isWord = token => /^[\p{L}\p{N}'’]/u.test(token)
const SIDES = ['left', 'right']

export class Sides {
  constructor(lists) {  // name → list of words, as `side_words` of 04b_web writes them
    this.lists = Object.fromEntries(Object.entries(lists).map(([name, words]) => [name, new Set(words)]))
  }

  isSide(words, i, several) {  // whether left or right at place i means a side
    const has = (name, word) => this.lists[name].has(word)
    const previous = words[i - 1] ?? '', second = words[i + 2] ?? ''
    const after = words[i + 1] && isWord(words[i + 1]) ? words[i + 1] : ''
    if (has('exactly', after) || (after === 'side' && ['up', 'out'].includes(second))) return false
    if (has('of_a_side', after) || SIDES.includes(after)) return true
    if (['and', 'or'].includes(after) && SIDES.includes(second)) return true
    if (has('before_verb', previous)) return false
    if (has('who_can_leave', previous) && (after === '' || has('after_verb', after))) return false
    if (has('perhaps_exactly', after) || (after === 'in' && second === 'front'))
      return several || has('function_words', previous) || has('to_a_side', previous)
    return true
  }

  areNamed(text) {  // whether a prompt changes when left and right are exchanged
    const words = (text.match(TOKEN) ?? []).map(word => word.toLowerCase().replaceAll('’', "'"))
    const several = words.filter(word => SIDES.includes(word)).length > 1
    return TURN.test(text) || words.some((word, i) =>
      this.lists.mirrored.has(word) && (!SIDES.includes(word) || this.isSide(words, i, several)))
  }
}
