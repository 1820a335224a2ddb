"""Captions and summaries read back by an independent parser and checked on the joints: none may contradict the pose.

The parser knows nothing of posecodes or the lexicon: regular expressions cut a caption into (side, part, relation), and
every relation is a measure taken here on the joints with two limits, one below which the statement is false and one
above which its negation is false.

    python tests/test_describe_truth.py [COUNT]    # 50,000 real poses of TEXT2POSE_DATA by default

The tests below look at the hand-written poses and at 120 real ones.
"""
import re, sys
from collections import Counter
from functools import cache
import numpy as np, pytest

from text2pose.captions import mirror_words
from text2pose.core import data_dir
from text2pose.data import JOINT_NAMES, canonical, own_poses
from text2pose.describe import STYLES, describe, summarize_poses
from text2pose.humanml3d import ALL_SOURCES, read_realmocap22
from text2pose.posecodes import mirror_statement, satisfies

J = {n:i for i,n in enumerate(JOINT_NAMES)}
OTHER = dict(left='right', right='left')

class Body:
    "One pose, with lengths in units of .62 legs, about a trunk."
    def __init__(self, joints):
        x = np.asarray(joints, float)
        legs = [(f'{s}_{a}',f'{s}_{b}') for s in OTHER for a,b in (('hip','knee'),('knee','ankle'))]
        self.x = x/(.31*sum(np.linalg.norm(x[J[a]]-x[J[b]]) for a,b in legs))
        self.fwd = self._forward()
    def __call__(self, name): return self.x[J[name]]
    def _forward(self):
        left = self('left_shoulder')-self('right_shoulder')+self('left_hip')-self('right_hip')
        f = np.cross(left, self('neck')-self('pelvis'))
        return f/np.linalg.norm(f)
    def angle(self, a, b, c):
        u,v = self(b)-self(a),self(c)-self(b)
        return np.degrees(np.arccos(np.clip(u@v/np.linalg.norm(u)/np.linalg.norm(v), -1, 1)))
    def hand(self, s): return self(f'{s}_wrist')+.3*(self(f'{s}_wrist')-self(f'{s}_elbow'))
    def elbow(self, s): return self.angle(f'{s}_shoulder', f'{s}_elbow', f'{s}_wrist')
    def knee(self, s): return self.angle(f'{s}_hip', f'{s}_knee', f'{s}_ankle')
    @property
    def floor(self): return self.x[:,2].min()
    @property
    def twist(self):
        if self.tilt>40: return 1     # seen from above only while upright
        (a,b),(c,d) = (self('left_hip')-self('right_hip'))[:2],(self('left_shoulder')-self('right_shoulder'))[:2]
        return a*d-b*c
    @property
    def spine(self): return self('neck')-(self('left_hip')+self('right_hip'))/2
    @property
    def forward_tilt(self): return np.degrees(np.arctan2(-self.spine[1], self.spine[2]))
    @property
    def hips(self): return (self('left_hip')+self('right_hip'))[2]/2
    @property
    def tilt(self):
        d = self('neck')-self('pelvis')
        return np.degrees(np.arccos(np.clip(d[2]/np.linalg.norm(d), -1, 1)))
    def ahead(self, p):
        "How far before the line of the trunk a point lies."
        a,b = self('pelvis'),self('neck')
        t = np.clip((p-a)@(b-a)/((b-a)@(b-a)), 0, 1)
        return (p-a-t*(b-a))@self.fwd
    def out(self, p, s):
        "How far to side s of the middle a point lies."
        left = self('left_shoulder')-self('right_shoulder')+self('left_hip')-self('right_hip')
        left /= np.linalg.norm(left)
        return (p-self('pelvis'))@left*(1 if s=='left' else -1)
    def direction(self, a, b):
        d = self(b)-self(a)
        return d/np.linalg.norm(d)

def near(b, s, *joints): return -min(np.linalg.norm(h-b(j)) for j in joints for h in (b.hand(s), b(f'{s}_wrist')))
def level(b, s, z): return -abs(b.hand(s)[2]-z)

# relation of a hand or an arm: words → (measure(body, side), false below, its negation false above)
ARM = [
    (r'below|knee (height|level)', lambda b,s: b.hips-b.hand(s)[2], -.1, 1.),
    (r'(above|over|higher than) (the |_ )?head|overhead|over head', lambda b,s: b.hand(s)[2]-b('head')[2], -.02, .45),
    (r'(behind|at the back of|on the back of|back of) (_ )?(head|neck)', lambda b,s: near(b,s,'head','neck'), -.75, -.1),
    (r'(on|on top of|to|at|against|touching|by|close to|beside|side of|sides of) (_ )?(the )?(left |right )?(head|ears?)\b(?! (height|level))', lambda b,s: near(b,s,'head'), -.75, -.1),
    (r'(face|mouth|chin|lips)\b', lambda b,s: near(b,s,'head'), -1., -.15),
    (r'(?<!in front of _ )(?<!in front of )\bhips?\b(?! (height|level))|\bon _ waist|at _ waist|iliac|akimbo', lambda b,s: near(b,s,f'{s}_hip','pelvis'), -.95, -.15),
    (r'(behind|behind the) (_ )?back', lambda b,s: -b.ahead(b.hand(s)), -.1, .35),
    (r'(?<!low as _ )(?<!low as )knees?\b(?! (height|level))', lambda b,s: near(b,s,'left_knee','right_knee'), -1., -.1),
    (r'(foot|feet|toes|ankles?)\b', lambda b,s: near(b,s,'left_ankle','right_ankle','left_foot','right_foot'), -.7, -.1),
    (r'almost touching|near the (floor|ground)|close to the (floor|ground)|just above', lambda b,s: b.floor-min(b.hand(s)[2], b(f'{s}_wrist')[2]), -.6, .05),
    (r'on the (floor|ground)|touch(ing|es)? the (floor|ground)|flat on', lambda b,s: b.floor-min(b.hand(s)[2], b(f'{s}_wrist')[2]), -.35, .05),
    (r'straight up|to the sky|for the sky|ceiling|stars|reaching up|point(ing|s)? up\b|vertical', lambda b,s: b.direction(f'{s}_shoulder',f'{s}_wrist')[2], .5, .95),
    (r'straight down|hanging|dangling|by _ sides?|at _ sides?|at sides', lambda b,s: -b.direction(f'{s}_shoulder',f'{s}_wrist')[2], .3, .99),
    (r'above (the |_ )?shoulders?|above shoulder|higher than (the |_ )?shoulders?', lambda b,s: b.hand(s)[2]-b('neck')[2], -.25, .5),
    (r'shoulder (height|level)|level with _ shoulders?|as high as (_ )?shoulders?', lambda b,s: level(b,s,b('neck')[2]-.1), -.45, 0),
    (r'chest (height|level)|level with _ chest', lambda b,s: level(b,s,.7*b('neck')[2]), -.5, 0),
    (r'head (height|level)|level with _ head|as high as _ head', lambda b,s: level(b,s,b('head')[2]+.1), -.5, 0),
    (r'(waist|belly) (height|level)', lambda b,s: level(b,s,.3*b('neck')[2]), -.5, 0),
    (r'hip (height|level)', lambda b,s: level(b,s,b.hips), -.45, 0),
    (r'further forward|ahead of _ other', lambda b,s: (b.hand(s)-b.hand(OTHER[s]))@b.fwd, .05, 1.),
    (r'in front of|to the front|out in front|\bforwards?\b|straight ahead|anterior|before _ (body|chest|belly)', lambda b,s: b.ahead(b.hand(s)), 0., .9),
    (r'to _? ?sides?\b|to the sides?|sideways|to the (left|right)|spread|wide|outstretched|abducted|away from (the|_) (body|sides?)', lambda b,s: b.out(b.hand(s),s)-b.out(b(f'{s}_shoulder'),s), .1, 1.),
    (r'\bbehind\b|\bback(wards?)?\b|to the rear|posterior', lambda b,s: max(-b.ahead(b.hand(s)), b.direction(f'{s}_shoulder',f'{s}_wrist')[1]), -.1, .6),
    (r'across|crossing', lambda b,s: -b.out(b.hand(s),s), -.35, .4),
    (r'\b(raise[sd]?|raising|lift(s|ed|ing)?|up|elevated|held high|high|in the air|into the air)\b', lambda b,s: b.hand(s)[2]-b('neck')[2], -.25, .4),
    (r'# (is |are )?lower\b', lambda b,s: b.hand(OTHER[s])[2]-b.hand(s)[2], .05, 9), (r'\b(down|low|lowered)\b|\blower(s|ing)? #', lambda b,s: max(b('neck')[2], b(f'{s}_shoulder')[2])-b.hand(s)[2], -.15, 1.5),
    (r'slightly|a little|a bit|softly|soft\b|slight\b', lambda b,s: 42-abs(b.elbow(s)-42), 15, 99),
    (r'square angle|90', lambda b,s: -abs(b.elbow(s)-90), -35, 0),
    (r'fully bent|all (the|_) way|sharply|tightly|completely|maximal|folded up|fully flexed', lambda b,s: b.elbow(s), 105, 150),
    (r'\bstraight\b(?! (up|down|out|forward|ahead|back))', lambda b,s: -b.elbow(s), -50, -5), (r'bent|flex|\bbend', lambda b,s: b.elbow(s), 38, 60),
    (r'straight|extend|locked|\blong\b', lambda b,s: -b.elbow(s), -50, -5),
]
ELBOW = [(r'above|higher|\bhigh\b|up high', lambda b,s: b(f'{s}_elbow')[2]-b(f'{s}_shoulder')[2], -.1, .4), (r'shoulder (height|level)|level with', lambda b,s: -abs(b(f'{s}_elbow')[2]-b(f'{s}_shoulder')[2]), -.4, 0),
    (r'pulled back|drawn back|behind|pointing back', lambda b,s: -b.ahead(b(f'{s}_elbow')), -.05, .4)] + [r for r in ARM if r[0].startswith(('\\bstraight','slightly','square angle','fully','bent','straight'))]
KNEE = [
    (r'(floor|ground)(?! level)', lambda b,s: b.floor-b(f'{s}_knee')[2], -.4, .05), (r'hip (height|level)|as high as', lambda b,s: b(f'{s}_knee')[2]-b(f'{s}_hip')[2], -.6, .5),
    (r'slightly|a little|a bit|softly|soft\b|soften|slight\b|unlocked', lambda b,s: 34-abs(b.knee(s)-34), 8, 99), (r'square angle|90', lambda b,s: -abs(b.knee(s)-90), -35, 0),
    (r'fully bent|all (the|_) way|sharply|tightly|completely|maximal|folded up|fully flexed|tucked', lambda b,s: b.knee(s), 100, 150),
    (r'\b(raised?|raising|raises|lift(s|ed|ing)?|pulled up|drawn up|drive|driving)\b', lambda b,s: b(f'{s}_knee')[2]-b(f'{s}_hip')[2]+.87*np.linalg.norm(b(f'{s}_knee')-b(f'{s}_hip')), .05, .6),
    (r'\bstraight\b', lambda b,s: -b.knee(s), -38, -2), (r'bent|flex|bend', lambda b,s: b.knee(s), 34, 55), (r'straight|extend|(?<!un)locked', lambda b,s: -b.knee(s), -38, -2)]
FOOT = [
    (r'(above|at|to|as high as) (the |_ )?(knee|hip)s?|(knee|hip) (height|level)', lambda b,s: b(f'{s}_ankle')[2]-b(f'{OTHER[s]}_knee')[2], -.5, 1.),
    (r'(?<!both feet )(?<!feet )off the (floor|ground)|(?<!both feet )lift|rais|pick(s|ing|ed)? up|in the air|clear of', lambda b,s: b(f'{s}_ankle')[2]-b.floor, .03, .8),
    (r'in front of the (left|right) one|ahead of the (left|right) one|further forward', lambda b,s: -(b(f'{s}_ankle')-b(f'{OTHER[s]}_ankle'))[1], .1, .9),
    (r'behind the (left|right) one|further back', lambda b,s: (b(f'{s}_ankle')-b(f'{OTHER[s]}_ankle'))[1], .1, .9),
    (r'in front|forward|ahead|to the front|leading|\bfirst\b', lambda b,s: max(-b(f'{s}_ankle')[1], -(b(f'{s}_ankle')-b(f'{OTHER[s]}_ankle'))[1]), .15, 1.2),
    (r'behind|to the back|\bback\b', lambda b,s: max(b(f'{s}_ankle')[1], (b(f'{s}_ankle')-b(f'{OTHER[s]}_ankle'))[1]), .15, 1.2),
    (r'to the sides?|sideways|to the (left|right)', lambda b,s: b(f'{s}_ankle')[0]*(1 if s=='left' else -1), .3, 1.5)]
LEG = FOOT[1:]+[r for r in KNEE if not r[0].startswith(('(floor','hip','\\b(raised'))]
LIMBS = dict(hand=ARM, arm=ARM, fist=ARM, palm=ARM, elbow=ELBOW, knee=KNEE, foot=FOOT, feet=FOOT, leg=LEG)

# what a whole caption or one of its clauses says of the body: words → (measure(body), false below)
WHOLE = [
    (r'\b(lie|lies|lying|supine|prone)\b', lambda b: b.tilt, 38), (r'\b(supine|face up|on _ back\b(?! foot))', lambda b: b.fwd[2], .3), (r'\b(prone|face down|on _ (stomach|belly|front|tummy))\b', lambda b: -b.fwd[2], .3),
    (r'\b(sit|sits|sitting|seated|sat)\b(?! back| tall| into| on (_ )?(heels|calves))', lambda b: max(np.degrees(np.arccos(np.clip(-b.direction(f'{s}_hip',f'{s}_knee')[2], -1, 1))) for s in OTHER), 40),
    (r'\b(squat|squats|squatting|squatted)\b', lambda b: min(b.knee('left'), b.knee('right')), 35), (r'\b(crouch\w*)\b', lambda b: min(b.knee('left'), b.knee('right')), 38),
    (r'\b(kneel\w*|knelt)\b', lambda b: b.floor-min(b('left_knee')[2], b('right_knee')[2]), -.4),
    (r'\b(all fours|hands and knees|quadruped)\b', lambda b: b.floor-max(b('left_knee')[2], b('right_knee')[2]), -.45),
    (r'\b(stand|stands|standing|stood)\b(?! position)', lambda b: b('pelvis')[2]-b.floor, .9),
    (r'stand\w* on (only |just )?_ left (leg|foot)|balanc\w* on _ left|on _ left (leg|foot) (only|alone)', lambda b: b('right_ankle')[2]-b('left_ankle')[2], -.1),
    (r'stand\w* on (only |just )?_ right (leg|foot)|balanc\w* on _ right|on _ right (leg|foot) (only|alone)', lambda b: b('left_ankle')[2]-b('right_ankle')[2], -.1),
    (r'\blung\w*.*\bleft\b|left (leg|foot) (forward )?lunge', lambda b: b('right_ankle')[1]-b('left_ankle')[1], .4), (r'\blung\w*.*\bright\b|right (leg|foot) (forward )?lunge', lambda b: b('left_ankle')[1]-b('right_ankle')[1], .4),
    (r'^(?!.*(hand|palm|elbow|arm|foot)).*(down on _ left knee|on _ left knee\b|kneel\w* (down )?on _ left knee)', lambda b: b.floor-b('left_knee')[2], -.4), (r'^(?!.*(hand|palm|elbow|arm|foot)).*(down on _ right knee|kneel\w* (down )?on _ right knee)', lambda b: b.floor-b('right_knee')[2], -.4),
    (r'\bbow(s|ing)?\b(?! (_ )?head)', lambda b: -b.spine[1], .2),
    (r'(?<!head )(?<!head is )(?<!head was )(?<!body )\b(?:lean|tilt|tip|inclin|bend|bent|hing|fold)\w* (?:over |slightly |a bit |far |deeply |all the way |_ (upper body|trunk|torso|chest|back) )?forwards?', lambda b: -b.spine[1], .12),
    (r'lean\w* (slightly |a bit |_ (upper body|trunk|torso) )?back\w*|recline', lambda b: b.spine[1], .08),
    (r'(trunk|torso|upper body|body)( is)? (leaning|tilted|inclined) (to the )?left|(?<!head )(?<!head is )(?<!head was )\blean\w* (over |sideways |slightly |_ (upper body|trunk|torso|body) )?(to the |to _ )?left', lambda b: b.spine[0], .1),
    (r'(trunk|torso|upper body|body)( is)? (leaning|tilted|inclined) (to the )?right|(?<!head )(?<!head is )(?<!head was )\blean\w* (over |sideways |slightly |_ (upper body|trunk|torso|body) )?(to the |to _ )?right', lambda b: -b.spine[0], .1),
    (r'(twist|rotat|turn)\w* (at the waist )?(_ (upper body|trunk|torso|chest|shoulders) )?(at the waist )?to (the|_) left', lambda b: b.twist, -.01),
    (r'(twist|rotat|turn)\w* (at the waist )?(_ (upper body|trunk|torso|chest|shoulders) )?(at the waist )?to (the|_) right', lambda b: -b.twist if b.tilt<40 else 1, -.01),
    (r'\b(feet|legs|heels) (are |close )?together|_ (feet|legs) together', lambda b: -np.linalg.norm((b('left_ankle')-b('right_ankle'))[:2]), -.65),
    (r'\b(feet|legs)( are)? (wide apart|far apart|spread wide)|stance wide|wide stance', lambda b: np.linalg.norm((b('left_ankle')-b('right_ankle'))[:2]), .75),
    (r'\b(hands|palms)( are)? (pressed )?(together|joined|clasped|folded)\b|(clasp|join)\w* _ hands(?! behind)', lambda b: -min(np.linalg.norm(b.hand('left')-b.hand('right')), np.linalg.norm(b('left_wrist')-b('right_wrist'))), -.5),
    (r'arms( are)? (crossed|folded)\b(?! up)|(cross|fold)\w* _ arms', lambda b: b.hand('right')[0]-b.hand('left')[0], -.1),
    (r't-?pose|like a t\b|in a t\b', lambda b: min(b.direction('left_shoulder','left_wrist')[0], -b.direction('right_shoulder','right_wrist')[0]), .7)]

NP = re.compile(r'\b(?:(?P<both>both)(?: of)?(?: _)? |(?:_ )?(?P<side>left|right) |(?P<no>neither|either|no) |(?P<one>one|an?)(?: of _)? |_ )?(?P<noun>hand|(?<!upper )arm|fist|palm|elbow|knee|foot|feet|(?<!lower )leg)(?P<plural>s?)\b')
NOT = re.compile(r"\bnot\b|n't\b|\bwithout\b|\bneither\b|\bno\b|\bun(bent|crossed)\b|\bfrom bending|away from (_ )?face")
# a foot off the floor is raised, a hand or a knee is not on it
OFF = re.compile(r'\boff (the |_ )?(floor|ground|hips?)')
CUT = re.compile(r'[,;.+/:]|(?=\bwithout\b)|\band\b|\bwhile\b|\bwith(?!out)\b|\bbut\b')
# the before these is no determiner of a part of the body
PLACE = re.compile(r'\b(the|a) (floor|ground|side|sides|front|back|left|right|ceiling|sky|body|waist|rear)\b(?! (hand|arm|leg|foot|knee|elbow|hip|shoulder|thigh|shin|upper|forearm|wrist|ankle|side))')
HARMLESS = {'right angle':'square angle', 'about to sit':'about', 'over straight legs':'', 'drawing a bow':''}
# a relation of two parts to each other, or a posture: not read as one of a hand, arm, elbow or knee
TOGETHER = re.compile(r'together|crossed|clasped|apart|joined|folded|opposite|same|other than|in a v\b|symmetr|equally|mirror|higher than _ other|than the (left|right) one|(above|below|ahead of|in front of) (_ other|the (left|right) one)|standing|sitting|squatting|kneeling')
SECOND_PART = re.compile(r'(_|the) (left|right)? ?(knees?|feet|foot|elbows?)\b')

DEGREES = re.compile(r'(\d+) ?(degrees|°)')
BENDS = dict(arm=Body.elbow, elbow=Body.elbow, knee=Body.knee, leg=Body.knee)
LEANS = re.compile(r'(lean\w*|bend\w*|tilt\w*|inclin\w*|trunk.*flex\w*) .*\b(\d+) ?(degrees|°)')

def within(measure, degrees):
    "(measure, least, most) of an angle that is told in degrees; a right angle is said of what is near one, too."
    def closeness(*args): return -abs(measure(*args)-degrees)
    return closeness, (-35 if degrees==90 else -15), 0

def clauses(text):
    "Pieces of a caption, determiners of body parts written as _."
    text = text.lower()
    for said,instead in HARMLESS.items(): text = text.replace(said, instead)
    text = PLACE.sub(r'the@\2', text)
    text = text.replace('the left one','the@left@one').replace('the right one','the@right@one')
    text = re.sub(r'\bthe\b(?!@)|\b(his|her|their|its|your|my)\b', '_', text)
    text = text.replace('_@','the@').replace('@',' ')
    return [' '.join(p.split()) for p in CUT.split(text) if p and p.strip()]

def side_of(m):
    "Which side a noun phrase speaks of: left, right, both, one, no; '' where that is not clear."
    if m['side']: return m['side']
    if m['no']: return 'no'
    if m['one']: return 'one'
    return 'both' if m['both'] or m['plural'] or m['noun']=='feet' else ''

def limb_of(piece, last):
    "(side, noun, the words around it) of a piece about one part of the body; None if it is not."
    m = NP.search(piece)
    if not m:
        the_other = re.match(r'_ other\b', piece) and last and last[0] in OTHER
        return (OTHER[last[0]],last[1],piece) if the_other else None
    rest = f'{piece[:m.start()]} # {piece[m.end():]}'
    two_parts = NP.search(rest) and not SECOND_PART.search(rest)
    return None if two_parts or not side_of(m) else (side_of(m),m['noun'],rest)

def forgets(piece):
    "Whether `the other` in the next piece would mean something else."
    return NP.search(piece) or re.search(r'forearm|upper arm|shin|thigh|calf', piece)

def read(text):
    "(side, part, measure, least, most, negative) of limbs, and (words, measure, least) of the whole body."
    limbs,whole,last = [],[],None
    for piece in clauses(text):
        negative = bool(NOT.search(piece))
        if not negative: whole += [(words,f,low) for words,f,low in WHOLE if re.search(words, piece)]
        limb = limb_of(piece, last)
        lean = None if limb or re.search('hip|thigh|ankle|shoulder|arm', piece) else LEANS.search(piece)
        if lean and not negative:
            measure,low,_ = within(lambda b: b.forward_tilt, int(lean[2]))
            whole.append((lean[0], measure, low))
        if limb is None:
            if forgets(piece): last = None
            continue
        side,noun,rest = limb
        if noun=='feet' and ' off ' in piece+' ': continue       # in the air: the floor is unknown
        last = side,noun
        on_foot = noun in ('foot','feet')
        negative = negative or (not on_foot and noun!='leg' and bool(OFF.search(piece)))
        bend = DEGREES.search(rest)
        if bend and noun in BENDS and 'abduct' not in rest:
            limbs.append((side, noun, *within(BENDS[noun], int(bend[1])), negative))
            continue
        rule = next((r for r in LIMBS[noun] if re.search(r[0], rest)), None)
        if rule and (on_foot or not TOGETHER.search(rest)): limbs.append((side,noun,*rule[1:],negative))
    return limbs,whole

def is_wrong(side, values, low, high, negative):
    "Whether a statement about a side is plainly false; values: of that side, or of both."
    if negative: return (min(values) if side=='one' else max(values))>high
    return (max(values) if side=='one' else min(values))<low

def contradictions(text, joints):
    "(statements read, those that contradict the joints)."
    body = Body(joints)
    limbs,whole = read(text)
    bad = []
    for side,noun,f,low,high,negative in limbs:
        values = [float(f(body, s)) for s in ((side,) if side in OTHER else OTHER)]
        if is_wrong(side, values, low, high, negative):
            bad.append((side, noun, 'not' if negative else '', np.round(values, 2).tolist(), low, high))
    for words,f,low in whole:
        value = float(f(body))
        if value<low: bad.append((words[:40], round(value, 3), low))
    return len(limbs)+len(whole),bad

def survey(joints, descriptions, show=0):
    """Counts over descriptions of poses: captions, captions read, statements read, contradictions.

    And contradictions when left and right of the words are exchanged. show: how many contradictions to print."""
    c = Counter()
    for x,ds in zip(joints, descriptions):
        for d in ds:
            n_read,bad = contradictions(d.text, x)
            c['captions'] += 1
            c['captions read'] += n_read>0
            c['statements read'] += n_read
            c['statements'] += len(d.codes)
            c['contradictions'] += len(bad)
            if bad and show:
                show -= 1
                print(d.text, bad)
            if re.search(r'\b(left|right)\b(?! angle)', d.text.lower()):
                c['one-sided captions'] += 1
                c['caught when sides are exchanged'] += bool(contradictions(mirror_words(d.text), x)[1])
    return c

def one_sided(d):
    "Codes that a description states or denies of one side and not of the other."
    return [c for c in d.codes if '|' not in c and mirror_statement(c)!=c and mirror_statement(c) not in d.codes]

def others_differ(joints, descriptions):
    "How many captions name one side, and in how many of them the other side does not do the same."
    poses = [(x,d,one_sided(d)) for x,ds in zip(joints, descriptions) for d in ds]
    poses = [(x,d,codes) for x,d,codes in poses if codes]
    if not poses: return 0, 0
    x = np.stack([x for x,_,_ in poses])
    true = {c:satisfies([mirror_statement(c)], x) for c in {c for *_,codes in poses for c in codes}}
    return len(poses), sum(not any(true[c][i] for c in codes) for i,(*_,codes) in enumerate(poses))

def real_poses(count, seed=0):
    "Frames of all sources, the same number of each where there are enough."
    g = np.random.default_rng(seed)
    clips = [read_realmocap22(data_dir()/'realmocap22', [s]) for s in ALL_SOURCES]
    sources = sorted((np.concatenate([c.joints[::2] for c in cs]) for cs in clips), key=len)
    out = []
    for i,frames in enumerate(sources):
        share = (count-sum(map(len, out)))//(len(sources)-i)
        out.append(frames[g.permutation(len(frames))[:share]])
    return canonical(np.concatenate(out))

SLIPS = re.compile(r"(?<!one of his )(?<!one of her )(?<!one of its )(?<!one of their )(?<!one of your )(?<!one of my )\b(hands|arms|feet|legs|knees|elbows|forearms|thighs) (is|was|has)\b|\b(they|you|I) (is|was|has|does|\w+(ises|ends|olds|eeps|ands|ifts|uts|eans))\b|"
    r"\b(he|she|someone) (are|were|have|do|raise|bend|keep|stand|lift|lean)\b|\ba [aeio]|\b(both|either) (the|left|right)\b|\b(?P<word>[a-z]+) (?P=word)\b|  | [,.;]|[_@%{}|<>^$]", re.I)

OWN = np.stack([p['joints'] for p in own_poses()])
needs_data = pytest.mark.skipif(data_dir() is None, reason='TEXT2POSE_DATA is not set')

def test_parser():
    text = 'A man stands on his left leg with his right arm raised, the other on the hip and both knees bent.'
    limbs,whole = read(text)
    assert [(side,noun) for side,noun,*_ in limbs if noun!='leg']==[('right','arm'),('left','arm'),('both','knee')]
    assert len(whole)==2
    assert [negative for *_,negative in read('Stand without bending the knees.')[0]]==[True]
    joints = next(p['joints'] for p in own_poses() if p['name']=='left_arm_raised')
    assert not contradictions('raise your left arm', joints)[1]
    for text in ('raise your right arm', "don't raise your left arm", 'a man squatting'):
        assert contradictions(text, joints)[1]

@cache
def own_captions(): return describe(OWN, 30, seed=7)

def test_grammar():
    for ds in own_captions():
        for d in ds: assert not SLIPS.search(d.text) and 3<=len(d.text.split())<=60, d.text
    for style in STYLES:
        for ds in summarize_poses(OWN, 4, style):
            for d in ds: assert not SLIPS.search(d.text), d.text

def test_own_poses():
    c = survey(OWN, own_captions())
    assert c['contradictions']==0 and c['captions read']>.7*c['captions'], c
    assert c['caught when sides are exchanged']>.3*c['one-sided captions'], c

def test_angles_are_read():
    joints = next(p['joints'] for p in own_poses() if p['name']=='left_arm_raised')
    bend = round(float(Body(joints).elbow('left')))
    assert not contradictions(f'bend your left elbow about {bend+5} degrees', joints)[1]
    assert contradictions(f'bend your left elbow about {bend+40} degrees', joints)[1]
    assert contradictions('lean forward about 40 degrees', joints)[1]

def test_who_names_one_side_means_the_other_does_not():
    n,differ = others_differ(OWN, own_captions())
    assert n>200 and differ>=.995*n, (n,differ)

@pytest.mark.parametrize('style', STYLES)
def test_summaries_of_own_poses(style):
    c = survey(OWN, summarize_poses(OWN, 4, style))
    assert c['contradictions']==0 and c['captions read']>.9*c['captions'], c
    assert c['caught when sides are exchanged']>.3*c['one-sided captions'], c

@needs_data
def test_real_poses():
    x = real_poses(120)
    for descriptions in (describe(x, 2), summarize_poses(x, 2)):
        c = survey(x, descriptions)
        assert c['contradictions']==0, c
    n,differ = others_differ(x, describe(x, 2))
    assert differ>=.995*n, (n,differ)

if __name__=='__main__':
    x = real_poses(int(sys.argv[1]) if len(sys.argv)>1 else 50_000)
    for make in (describe, summarize_poses):
        print(make.__name__)
        for k,v in survey(x, make(x), show=100).items(): print(f'    {k:40} {v}')
    print('captions that name one side {}, the other side does not do it in {}'.format(*others_differ(x, describe(x))))
