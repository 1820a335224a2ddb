"""Train the small tagger that tags captions where NLTK's English weights are not installed, and write it to text2pose/assets/tagger.json.

It learns from text that is free for any use: sentences made by the grammar below, whose tags are known; the descriptions of the CMU motion capture index and the labels of 100STYLE, and the captions of the
hand-written poses, as NLTK tags them, with verbs and action nouns corrected by the rules of `text2pose.data.word_roles`. The KIT-ML sentences are kept out: on them its agreement with NLTK is measured, and printed.
Needs TEXT2POSE_DATA and NLTK's averaged_perceptron_tagger_eng.

    python tools/make_tagger.py
"""
import json, random
from pathlib import Path
from nltk.tag.perceptron import PerceptronTagger
from text2pose import data
from text2pose.core import data_dir
from text2pose.data import own_poses
from text2pose.captions import caption_tags, default_tagger, read_texts, split_words, tag_words, word_roles

SEED, N_SENTENCES, N_ITER = 0, 9000, 6
MIN_WEIGHT = .6          # features whose weights are all smaller than this are dropped
NAME = Path(__file__).parents[1]/'text2pose/assets/tagger.json'

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
VERBS = sorted(data._ACTIONS)+'search perform overtake inspect observe imagine rest find lose offer gather grip press mimic prepare attempt seem appear proceed manage wash train work spar protect cover uncover trace measure need want like love feel hear think know show tell ask call help let set turn run walk walk walk jump jump turn turn raise sit'.split()
PAST = {lemma:w for w,(lemma,form) in data._IRREGULAR.items() if form=='ed'}

def inflect(
    verb:str, # its base
    form:str, # 'base', 's', 'ing' or 'ed'
)->str:
    "A form of a regular verb, or the irregular past."
    doubles = len(verb)<5 and verb[-1] in 'bdgmnprt' and verb[-2] in 'aeiou' and verb[-3:-2] not in ('','a','e','i','o','u')
    if form=='base': return verb
    if form=='s':
        return verb[:-1]+'ies' if verb[-1]=='y' and verb[-2] not in 'aeou' else verb+'es' if verb.endswith(('s','sh','ch','x','z','o')) else verb+'s'
    if form=='ed' and verb in PAST: return PAST[verb]
    if verb.endswith('ie') and form=='ing': return verb[:-2]+'ying'
    if verb.endswith('y') and form=='ed' and verb[-2] not in 'aeou': return verb[:-1]+'ied'
    stem = verb[:-1] if verb.endswith('e') and not (form=='ing' and verb.endswith(('ee','oe'))) else verb+verb[-1] if doubles else verb
    return stem+form

class Grammar:
    "Sentences about moving people, with their tags."
    def __init__(self, seed): self.g = random.Random(seed)
    def one(self, words): return [self.g.choice(words)]
    def maybe(self, p, f): return f() if self.g.random()<p else []
    # a word never seen again: its place must tell
    def unknown(self, tag):
        return [(''.join(self.g.choice(['ba','ro','ti','men','kal','sur','po','le','ath','gym','tor','vi']) for _ in range(self.g.choice([2,3]))), tag)]
    def person(self): return self.unknown('NOUN') if self.g.random()<.15 else self.one(PEOPLE)
    def thing(self): return self.unknown('NOUN') if self.g.random()<.15 else self.one(THINGS)
    def verb(self, form): return [(inflect(self.g.choice(VERBS), form), 'VERB')]
    def noun_phrase(self):
        return self.g.choice([lambda: self.one(DETERMINERS)+self.maybe(.35, lambda: self.one(ADJECTIVES))+self.thing(), lambda: self.thing(),
            lambda: self.one(DETERMINERS)+self.maybe(.5, lambda: self.one(ADJECTIVES))+self.one(BODY), lambda: self.one(OBJECTS), lambda: self.one(DETERMINERS)+[self.g.choice([('left','NOUN'),('right','NOUN'),('side','NOUN')])],
            lambda: self.one(DETERMINERS)+self.one(BODY)+[('and','CCONJ')]+self.one(BODY)])()
    def action_noun(self):
        count = self.g.choice([lambda: [('a','DET')], lambda: self.one(NUMBERS), lambda: [('some','DET')], lambda: [('another','DET')]])()
        plural = count[0][1]=='NUM' or count[0][0]=='some'
        return count+self.maybe(.5, lambda: self.one(ADJECTIVES))+[(inflect(self.g.choice('walk jump step kick turn punch hop swing throw squat wave lunge leap cartwheel stride spin twist dance run stretch'.split()), 's' if plural else 'base'), 'NOUN')]
    def subject(self):
        return self.g.choice([lambda: [(self.g.choice(['a','the','this']),'DET')]+self.maybe(.15, lambda: self.one(ADJECTIVES))+self.person(), lambda: self.one(PRONOUNS), lambda: self.person(), lambda: [(self.g.choice(['a','the']),'DET')]+self.person()+[(self.g.choice(['who','that']),'PRON')]+self.g.choice([lambda: [('is','AUX')]+self.one(ADJECTIVES), lambda: self.verb('s')])()])()
    def complement(self):
        return self.g.choice([lambda: self.one(ADVERBS), lambda: self.one(PARTICLES), lambda: self.one(PREPOSITIONS)+self.noun_phrase(), lambda: self.noun_phrase()+self.maybe(.3, lambda: self.one(PARTICLES)),
            lambda: self.one(NUMBERS)+[('times','NOUN')], lambda: [('for','ADP')]+self.action_noun(), lambda: [('with','ADP')]+self.noun_phrase()+[(self.g.choice(['stretched','raised','bent','crossed']),'VERB')]+self.one(PARTICLES),
            lambda: [('to','PART')]+self.verb('base')+self.noun_phrase(), lambda: self.one(ADVERBS)+[('and','CCONJ')]+self.one(ADVERBS), lambda: self.one(NUMBERS)+[('degrees','NOUN')], lambda: []])()
    def same_time(self):
        return self.g.choice([[('while','ADP')], [('by','ADP')], [(',','PUNCT')], [], [('after','ADP')], [('before','ADP')], [('without','ADP')]])+self.verb('ing')+self.complement()
    def group(self, form):
        "A verb with what may stand around it; form 's', 'ed', 'base', or 'ing' without an auxiliary."
        if self.g.random()<.2:
            return [(inflect(self.g.choice(['do','perform','make','take']), form),'VERB')]+self.action_noun()
        if self.g.random()<.12:
            return [(inflect(self.g.choice(['start','try','begin','continue']), form),'VERB')]+self.g.choice([lambda: [('to','PART')]+self.verb('base'), lambda: self.verb('ing')])()
        return self.maybe(.15, lambda: self.one(ADVERBS))+self.verb(form)
    def clause(self, form):
        if form=='is':
            head = [(self.g.choice(['is','is','was','are']),'AUX')]+self.maybe(.2, lambda: self.one(ADVERBS))+self.verb('ing')
        elif form=='not': head = [('does','AUX'),("n't",'ADV')]+self.verb('base')
        elif form=='will': head = [(self.g.choice(['can','will','could']),'AUX')]+self.verb('base')
        else: head = self.group(form)
        return head+self.complement()+self.maybe(.35, self.complement)+self.maybe(.25, self.same_time)
    def sentence(self):
        form = self.g.choice(['s']*6+['is']*4+['ed','ing','not','will'])
        out = self.subject()+self.clause(form)
        for _ in range(self.g.choice([0,0,1,1,2])):
            form = self.g.choice(['s','s','ing']) if form in ('is','not','will') else form
            out += self.g.choice(JOINTS)+self.maybe(.15, self.subject)+self.clause(form)
        return out
    def label(self):
        "As in lists of clips: walk, turn around; forward jumps; setting - climb, hang."
        item = lambda: self.g.choice([lambda: self.verb('base')+self.complement(), lambda: self.verb('base')+self.complement(), lambda: self.verb('ing')+self.complement(), lambda: self.one(ADJECTIVES)+[self.action_noun()[-1]], lambda: self.verb('base')])()
        out = self.maybe(.15, lambda: self.thing()+[('-','PUNCT')])+item()
        for _ in range(self.g.choice([0,1,1,2,3])):
            out += self.g.choice([[(',','PUNCT')],[('and','CCONJ')],[(',','PUNCT')]])+item()
        return out

def silver(
    texts, # captions
)->list:   # of [(word, tag), …]
    "NLTK's tags, with verbs and action nouns as the grammar of movement sees them."
    out = []
    for t in texts:
        words = [w for w,_,_ in split_words(t)]
        tags = tag_words(words, 'nltk')
        fixed = [{'V':'VERB','G':'VERB','i':'VERB','J':'NOUN'}.get(r, g) for r,g in zip(word_roles(words, tags), tags)]
        if words: out.append(list(zip([w.lower().replace('’',"'") for w in words], fixed)))
    return out

def lines(path): return [json.loads(l) for l in path.read_text(encoding='utf-8').splitlines()]

def train(
    folder, # realmocap22
):          # PerceptronTagger
    "Train on made and silver sentences; drop what weighs little."
    made = Grammar(SEED)
    made = [made.sentence() if i%3 else made.label() for i in range(N_SENTENCES)]
    labels = {r['text'] for r in lines(folder/'captions.jsonl') if r['source'] in ('cmu','cmu_actions','style100')}
    texts = labels|{r['description'] for r in lines(folder/'text_only/cmu_index_descriptions.jsonl')}|{c for p in own_poses() for c in p['captions']}
    tagger = PerceptronTagger(load=False)
    random.seed(SEED)  # its training shuffles with the global generator
    tagger.train([s for s in made if s]+2*silver(sorted(texts)), nr_iter=N_ITER)
    tagger.model.weights = {f:{c:round(w,1) for c,w in ws.items() if abs(w)>=.05} for f,ws in tagger.model.weights.items() if max(map(abs, ws.values()), default=0)>=MIN_WEIGHT}
    return tagger

def agreement(
    captions, # of Caption
    a,        # function from caption to tags (or letters), one for each item of split_words
    b,        # another one
)->str:       # for print
    "How often two taggers agree, words only."
    same = [x==y for c in captions for (w,_,_),x,y in zip(split_words(c.text), a(c), b(c)) if w[0].isalnum()]
    return f'{100*sum(same)/len(same):.1f} % of {len(same)} words'

def main():
    "Train, write, measure."
    folder = data_dir()/'realmocap22'
    if default_tagger()!='nltk':
        raise SystemExit("NLTK's averaged_perceptron_tagger_eng is needed for the silver tags: set NLTK_DATA")
    tagger = train(folder)
    d = dict(about='Averaged perceptron for captions of movement, trained by tools/make_tagger.py on made and CMU sentences; not a general tagger of English.',
             classes=sorted(tagger.classes), tagdict=dict(sorted(tagger.tagdict.items())), weights={k:dict(sorted(v.items())) for k,v in sorted(tagger.model.weights.items())})
    NAME.write_text(json.dumps(d, ensure_ascii=False, separators=(',',':'))+'\n', encoding='utf-8')
    data._tagger.cache_clear()
    print(f'{NAME.name}: {NAME.stat().st_size/1024:.0f} KB, {len(tagger.model.weights)} features, {len(tagger.tagdict)} words with one tag')
    def words(c): return [w for w,_,_ in split_words(c.text)]
    def own(c): return tag_words(words(c), 'own')
    def nltk(c): return tag_words(words(c), 'nltk')
    kitml = [data.Caption(s) for r in lines(folder/'text_only/kitml_cmu_sentences.jsonl') for s in r['sentences']]
    texts = [c for p in sorted((folder/'texts').glob('*.txt')) for c in read_texts(p)]
    print('KIT-ML sentences: own and NLTK agree in', agreement(kitml, own, nltk), '\n  in the letters of the grammar:', agreement(kitml, lambda c: word_roles(words(c), own(c)), lambda c: word_roles(words(c), nltk(c))))
    print('texts/*.txt: own and the tags of the files agree in', agreement(texts, own, caption_tags), '\n  NLTK and the tags of the files:', agreement(texts, nltk, caption_tags))

if __name__=='__main__': main()
