"""Train the small tagger for captions and write it to text2pose/assets/tagger.json.

It tags captions where NLTK's English weights are not installed. It learns from text that is free for any use:
sentences made by the grammar below, whose tags are known; the descriptions of the CMU motion capture index, the labels
of 100STYLE and the captions of the hand-written poses, as NLTK tags them, with verbs and action nouns corrected by the
rules of `text2pose.captions.word_roles`. The KIT-ML sentences are kept out: on them its agreement with NLTK is measured
and printed. Needs TEXT2POSE_DATA and NLTK's averaged_perceptron_tagger_eng.

    python tools/make_tagger.py
"""
import json, random
from nltk.tag.perceptron import PerceptronTagger
from text2pose import captions
from text2pose.captions import (
    caption_tags, default_tagger, irregular_forms, read_texts, split_words, tag_words, word_list, word_roles)
from text2pose.core import asset, data_dir
from text2pose.data import Caption, own_poses

SEED, N_SENTENCES, N_ITER = 0, 9000, 6
MIN_WEIGHT = .6  # features whose weights are all smaller than this are dropped
TAGGER = asset('tagger.json')

def both(text, tag): return [(w,tag) for w in text.split()]
ADVERBS = both('forward forwards backward backwards sideways slowly quickly carefully around away back again upwards downwards straight ahead diagonally repeatedly twice fast clockwise counterclockwise randomly upstairs downstairs gently once again together apart sideward afterwards occasionally slightly actively approximately suddenly immediately sometimes very forth there here nervously rhythmically loosely', 'ADV')
PARTICLES = both('up down over off out in', 'ADP')
ADJECTIVES = both('left right tall old young big small slow fast quick careful heavy wide high low imaginary single full stiff short long invisible large other wild same original tiny upper lower front several few greater injured huge heavier horizontal vertical happy tired drunk', 'ADJ')
PEOPLE = both('person man woman human figure boy girl child dancer player athlete character subject', 'NOUN')
OBJECTS = both('him them it something somebody himself herself themselves us me', 'PRON')
PRONOUNS = both('he she someone they somebody', 'PRON')
BODY = both('arm hand leg foot knee elbow head shoulder hip wrist arms hands legs feet knees elbows shoulders hips', 'NOUN')
THINGS = both('ball box table chair floor ground wall ladder bar stool rope bottle window door line circle stick bag book bench platform stairs air something obstacle beam racket cup object broom basketball', 'NOUN')
DETERMINERS = both('a a the the his her their both its an this each some', 'DET')
PREPOSITIONS = both('on over to from with in at towards into behind against under through across near of like for during over along about between behind onto around inside', 'ADP')
JOINTS = [[('and','CCONJ')], [(',','PUNCT')], [(',','PUNCT'),('then','ADV')], [('and','CCONJ'),('then','ADV')], [('but','CCONJ')], [(',','PUNCT'),('and','CCONJ')], [('then','ADV')], [('.','PUNCT')], [('and','CCONJ'),('finally','ADV')]]
NUMBERS = both('two three four five 2 3 4 90 180 360 10', 'NUM')
MORE_VERBS = 'search perform overtake inspect observe imagine rest find lose offer gather grip press mimic prepare attempt seem appear proceed manage wash train work spar protect cover uncover trace measure need want like love feel hear think know show tell ask call help let set turn run walk walk walk jump jump turn turn raise sit'.split()
ACTION_NOUNS = ('walk jump step kick turn punch hop swing throw squat wave lunge leap cartwheel stride spin twist dance run '
    'stretch').split()
VERBS = sorted(word_list('verbs'))+MORE_VERBS
PAST = {verb:word for word,(verb,form) in irregular_forms().items() if form=='ed'}
SYLLABLES = 'ba ro ti men kal sur po le ath gym tor vi'.split()

def third_person(verb):
    if verb[-1]=='y' and verb[-2] not in 'aeou': return verb[:-1]+'ies'
    return verb+'es' if verb.endswith(('s','sh','ch','x','z','o')) else verb+'s'

def stem(verb, form):
    "What -ing or -ed is added to."
    doubles = len(verb)<5 and verb[-1] in 'bdgmnprt' and verb[-2] in 'aeiou' and verb[-3:-2] not in ('',*'aeiou')
    if verb.endswith('ie') and form=='ing': return verb[:-2]+'y'
    if verb.endswith('y') and form=='ed' and verb[-2] not in 'aeou': return verb[:-1]+'i'
    if verb.endswith('e') and not (form=='ing' and verb.endswith(('ee','oe'))): return verb[:-1]
    return verb+verb[-1] if doubles else verb

def inflect(
    verb:str, # its base
    form:str, # 'base', 's', 'ing' or 'ed'
)->str:
    "A form of a regular verb, or the irregular past."
    if form=='base': return verb
    if form=='s': return third_person(verb)
    if form=='ed' and verb in PAST: return PAST[verb]
    return stem(verb, form)+form

class Grammar:
    "Sentences about moving people: every method gives a list of (word, tag)."
    def __init__(self, seed): self.g = random.Random(seed)

    def one(self, words): return [self.g.choice(words)]
    def word(self, words, tag): return [(self.g.choice(words),tag)]
    def any_of(self, *makers): return self.g.choice(makers)()
    def maybe(self, p, maker): return maker() if self.g.random()<p else []

    def unknown(self, tag):
        "A word never seen again: its place must tell."
        return [(''.join(self.g.choice(SYLLABLES) for _ in range(self.g.choice([2,3]))), tag)]

    def adjective(self): return self.one(ADJECTIVES)
    def adverb(self): return self.one(ADVERBS)
    def particle(self): return self.one(PARTICLES)
    def person(self): return self.unknown('NOUN') if self.g.random()<.15 else self.one(PEOPLE)
    def thing(self): return self.unknown('NOUN') if self.g.random()<.15 else self.one(THINGS)
    def verb(self, form): return [(inflect(self.g.choice(VERBS), form), 'VERB')]
    def base_verb(self): return self.verb('base')
    def ing_verb(self): return self.verb('ing')

    def noun_phrase(self):
        return self.any_of(
            lambda: self.one(DETERMINERS)+self.maybe(.35, self.adjective)+self.thing(),
            self.thing,
            lambda: self.one(DETERMINERS)+self.maybe(.5, self.adjective)+self.one(BODY),
            lambda: self.one(OBJECTS),
            lambda: self.one(DETERMINERS)+self.word(['left','right','side'], 'NOUN'),
            lambda: self.one(DETERMINERS)+self.one(BODY)+[('and','CCONJ')]+self.one(BODY))

    def action_noun(self):
        count = self.any_of(lambda: [('a','DET')], lambda: self.one(NUMBERS), lambda: [('some','DET')],
                            lambda: [('another','DET')])
        plural = count[0][1]=='NUM' or count[0][0]=='some'
        adjective = self.maybe(.5, self.adjective)
        return count+adjective+[(inflect(self.g.choice(ACTION_NOUNS), 's' if plural else 'base'), 'NOUN')]

    def subject(self):
        return self.any_of(
            lambda: self.word(['a','the','this'], 'DET')+self.maybe(.15, self.adjective)+self.person(),
            lambda: self.one(PRONOUNS),
            self.person,
            lambda: self.word(['a','the'], 'DET')+self.person()+self.relative_clause())

    def relative_clause(self):
        pronoun = self.word(['who','that'], 'PRON')
        return pronoun+self.any_of(lambda: [('is','AUX')]+self.adjective(), lambda: self.verb('s'))

    def complement(self):
        return self.any_of(
            self.adverb,
            self.particle,
            lambda: self.one(PREPOSITIONS)+self.noun_phrase(),
            lambda: self.noun_phrase()+self.maybe(.3, self.particle),
            lambda: self.one(NUMBERS)+[('times','NOUN')],
            lambda: [('for','ADP')]+self.action_noun(),
            self.with_a_part,
            lambda: [('to','PART')]+self.base_verb()+self.noun_phrase(),
            lambda: self.adverb()+[('and','CCONJ')]+self.adverb(),
            lambda: self.one(NUMBERS)+[('degrees','NOUN')],
            list)

    def with_a_part(self):
        state = ['stretched','raised','bent','crossed']
        return [('with','ADP')]+self.noun_phrase()+self.word(state, 'VERB')+self.particle()

    def same_time(self):
        joints = [[('while','ADP')], [('by','ADP')], [(',','PUNCT')], [], [('after','ADP')], [('before','ADP')],
                  [('without','ADP')]]
        return self.g.choice(joints)+self.ing_verb()+self.complement()

    def group(self, form):
        "A verb with what may stand around it; form 's', 'ed', 'base', or 'ing' without an auxiliary."
        if self.g.random()<.2:
            return [(inflect(self.g.choice(['do','perform','make','take']), form), 'VERB')]+self.action_noun()
        if self.g.random()<.12:
            begin = [(inflect(self.g.choice(['start','try','begin','continue']), form), 'VERB')]
            return begin+self.any_of(lambda: [('to','PART')]+self.base_verb(), self.ing_verb)
        return self.maybe(.15, self.adverb)+self.verb(form)

    def clause(self, form):
        if form=='is': head = self.word(['is','is','was','are'], 'AUX')+self.maybe(.2, self.adverb)+self.ing_verb()
        elif form=='not': head = [('does','AUX'),("n't",'ADV')]+self.base_verb()
        elif form=='will': head = self.word(['can','will','could'], 'AUX')+self.base_verb()
        else: head = self.group(form)
        return head+self.complement()+self.maybe(.35, self.complement)+self.maybe(.25, self.same_time)

    def sentence(self):
        form = self.g.choice(['s']*6+['is']*4+['ed','ing','not','will'])
        out = self.subject()+self.clause(form)
        for _ in range(self.g.choice([0,0,1,1,2])):
            if form in ('is','not','will'): form = self.g.choice(['s','s','ing'])
            out += self.g.choice(JOINTS)+self.maybe(.15, self.subject)+self.clause(form)
        return out

    def item(self):
        return self.any_of(
            lambda: self.base_verb()+self.complement(),
            lambda: self.base_verb()+self.complement(),
            lambda: self.ing_verb()+self.complement(),
            lambda: self.adjective()+[self.action_noun()[-1]],
            self.base_verb)

    def label(self):
        "As in lists of clips: walk, turn around; forward jumps; setting - climb, hang."
        out = self.maybe(.15, lambda: self.thing()+[('-','PUNCT')])+self.item()
        for _ in range(self.g.choice([0,1,1,2,3])):
            out += self.g.choice([[(',','PUNCT')],[('and','CCONJ')],[(',','PUNCT')]])+self.item()
        return out

def words_of(text): return [word for word,_,_ in split_words(text)]

def silver(
    texts, # captions
)->list:   # of [(word, tag), …]
    "NLTK's tags, with verbs and action nouns as the grammar of movement sees them."
    corrected = dict(V='VERB', G='VERB', i='VERB', J='NOUN')
    out = []
    for words in filter(None, map(words_of, texts)):
        tags = tag_words(words, 'nltk')
        tags = [corrected.get(role, tag) for role,tag in zip(word_roles(words, tags), tags)]
        out.append(list(zip([w.lower().replace('’', "'") for w in words], tags)))
    return out

def read_jsonl(path): return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]

def training_texts(
    folder, # realmocap22
)->list:    # of str, sorted
    "Captions that are free for any use."
    sources = ('cmu','cmu_actions','style100')
    texts = {row['text'] for row in read_jsonl(folder/'captions.jsonl') if row['source'] in sources}
    texts |= {row['description'] for row in read_jsonl(folder/'text_only/cmu_index_descriptions.jsonl')}
    return sorted(texts | {caption for pose in own_poses() for caption in pose['captions']})

def prune(
    weights:dict, # feature → tag → weight
)->dict:
    "Drop features that weigh little, and round."
    kept = {f:ws for f,ws in weights.items() if max(map(abs, ws.values()), default=0)>=MIN_WEIGHT}
    return {f:{tag:round(w,1) for tag,w in ws.items() if abs(w)>=.05} for f,ws in kept.items()}

def train(
    folder, # realmocap22
):          # PerceptronTagger
    "Train on made and silver sentences; drop what weighs little."
    grammar = Grammar(SEED)
    made = [grammar.sentence() if i%3 else grammar.label() for i in range(N_SENTENCES)]
    tagger = PerceptronTagger(load=False)
    random.seed(SEED)  # its training shuffles with the global generator
    tagger.train([s for s in made if s]+2*silver(training_texts(folder)), nr_iter=N_ITER)
    tagger.model.weights = prune(tagger.model.weights)
    return tagger

def save(tagger):
    weights = {feature:dict(sorted(ws.items())) for feature,ws in sorted(tagger.model.weights.items())}
    about = ('Averaged perceptron for captions of movement, trained by tools/make_tagger.py on made and CMU sentences; '
             'not a general tagger of English.')
    params = dict(about=about, classes=sorted(tagger.classes),
        tagdict=dict(sorted(tagger.tagdict.items())), weights=weights)
    TAGGER.write_text(json.dumps(params, ensure_ascii=False, separators=(',',':'))+'\n', encoding='utf-8')
    captions._tagger.cache_clear()
    size = TAGGER.stat().st_size/1024
    print(f'{TAGGER.name}: {size:.0f} KB, {len(weights)} features, {len(tagger.tagdict)} words with one tag')

def agreement(
    captions, # of Caption
    a,        # function from caption to tags (or letters), one for each item of split_words
    b,        # another one
)->str:       # for print
    "How often two taggers agree, words only."
    same = [x==y for c in captions for w,x,y in zip(words_of(c.text), a(c), b(c)) if w[0].isalnum()]
    return f'{100*sum(same)/len(same):.1f} % of {len(same)} words'

def own_tags(caption): return tag_words(words_of(caption.text), 'own')
def nltk_tags(caption): return tag_words(words_of(caption.text), 'nltk')
def own_roles(caption): return word_roles(words_of(caption.text), own_tags(caption))
def nltk_roles(caption): return word_roles(words_of(caption.text), nltk_tags(caption))

def measure(folder):
    kitml = [Caption(s) for row in read_jsonl(folder/'text_only/kitml_cmu_sentences.jsonl') for s in row['sentences']]
    print('KIT-ML sentences: own and NLTK agree in', agreement(kitml, own_tags, nltk_tags))
    print('  in the letters of the grammar:', agreement(kitml, own_roles, nltk_roles))
    texts = [caption for path in sorted((folder/'texts').glob('*.txt')) for caption in read_texts(path)]
    print('texts/*.txt: own and the tags of the files agree in', agreement(texts, own_tags, caption_tags))
    print('  NLTK and the tags of the files:', agreement(texts, nltk_tags, caption_tags))

def main():
    "Train, write, measure."
    if default_tagger()!='nltk':
        raise SystemExit("NLTK's averaged_perceptron_tagger_eng is needed for the silver tags: set NLTK_DATA")
    folder = data_dir()/'realmocap22'
    save(train(folder))
    measure(folder)

if __name__=='__main__': main()
