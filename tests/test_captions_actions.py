"""Captions beyond the tutorial: first actions and mirrored sentences in bulk, taggers with and without NLTK's weights,
key frames on real clips. All sentences here are our own."""
import os, subprocess, sys

import numpy as np, pytest

from text2pose import captions
from text2pose.captions import (
    PENN_TO_UNIVERSAL, caption_tags, default_tagger, first_action, irregular_forms, key_frames, mirror_words,
    parse_caption, split_words, verb_form, word_list)
from text2pose.core import asset, read_json
from text2pose.data import joint_idx
from text2pose.humanml3d import read_realmocap22
from tree import ROOT, offline_env

TAGGERS = ('own','nltk') if default_tagger()=='nltk' else ('own',)
DATA = os.environ.get('TEXT2POSE_DATA')

# the brackets hold what happens first
FIRST = """
[walks forward], then sits down
after [walking], he sits
gym class - [crawl], roll
[a man walks] and waves
[a man walks while waving]
[a man stands and waves]
[a man is sitting and reads a book]
[a person is standing on one leg and kicks]
[a person walks forward and to the left]
before he sits down, [he walks in a circle]
[he sits down] before walking away
he sits down after [walking]
[she stands] until the music starts
[a woman starts to walk] and then runs
[the man tries to jump] but falls
The video shows [a man lifting a box]
[a person jumps twice]. then he runs.
[a man who is tall walks forward] and sits
[a person walks], walks again
[a person walks forward] and then backward
[sideways hops], spin around
[walk], turn around, walk back
[run], sudden stop
[walk forward, backward, sideways]
[throw] and catch rings
[a person kicks with the left foot] and punches with the right hand
[a person does a cartwheel]
[a person waves with both hands and nods his head at the same time]
[while walking forward, a man waves]
[a man bends down to pick something up] and throws it
[a man bends down, picking something up]
[a person is walking], turning around, and walking back
[a person raises the left arm and the right leg]
[a person raises the left arm] and lowers it again
[someone plays the violin]
[a figure is kneeling down] and standing up
[A person kneels down], stands up
[a man is crawling on all fours]
[a person moves the arms, legs and head]
[a man dances with jumps and turns]
[a person takes three steps] and turns around
[a person takes three steps forward and one step back]
[person performs a squat], then a jump
[the person steps to the side] and he raises his arms
[a person walks slowly with his arms stretched out to the sides]
[A person runs], stops abruptly, looks around
[he picks up a box], carries it to the table and puts it down
[he leans forward holding on to a rail]
[a man sits down on a chair] and crosses his legs
[a man lies down] and gets up
[someone doing jumping jacks]
[a person walks in a circle, swinging his arms]
[a person jogs on the spot], followed by squats
[the man left the room] and came back
[a person walked forward] and turned left
[walking, slow]
[a man hops on his left foot] then his right foot
[a person gets up from the floor] and walks away
[a person wipes a table]
[run/jog], jump
[jump to reach for the ball]
[lean forward, arms crossed]
[A pulls B], B resists
[a person sways left and right]
[a person climbs up the stairs and down again]
[the person is pushed from behind] and stumbles
[a person stands still for a moment] and then walks
[a man stands up] and walks off
[a man is standing with his arms crossed]
[person is leaning against a wall and smokes]
[a person walks up to a table, on which there is a glass] and picks it up
[a person rotates the hips clockwise and counterclockwise]
[a person walks forward, turning left]
[a person begins walking] and speeds up
[two people shake hands]
[a person lifts something heavy] & puts it down
[man walks]; man runs
[A person goes down on his knees] and crawls forwards
[walk, left arm raised]
[punch], kick, punch
[alternating squats], side hops
[march in place, arms swinging]
[A person stomps his left foot] and shakes his head
first [he walks], then he sits
First, [a person squats] and then jumps.
[he doesn't move]
[Someone is playing tennis]
[a human waltzes]
[a human walks in slow motion]
[the person makes a big step over something]
[a person throws something with the right hand] and catches it with the left hand
[a person swings a golf club]
[a person squats down with the arms held in front] and comes up again
[a person walks 4 steps], turns, walks 4 steps
[clean up], wash hands
[a person is bowing] and then clapping
[a person reaches out with the left hand as if to grab something]
[a person puts one foot in front of the other as if on a tightrope]
Then [the man turns]
[a person is being pulled backwards]
[a person rubs his hands together] and blows on them
[A person performs a handstand] and then gets up again.
[Human performing a waltz step].
[A person is walking upstairs using a handrail on the left side].
[A person goes three steps forward], stops and returns.
[A human is kneeling on the floor and cleaning it].
[A person walks slowly, as if injured], and then falls.
[A man plays an air guitar].
[someone walks on stilts]
[A person takes a big step over an obstacle with the left foot first].
[a person is pushed to the left] but regains balance
[A human recovers from a push from behind].
[The person stands on the right leg and swings the left one].
[A human turns 180 degrees to the right].
[A person wipes with his left hand over a table in circular movements].
[a person raises both arms over the head] and lowers them again while standing
[A person walks a slalom between several obstacles].
[person stirring something in a bowl]
[a person beckons with his right hand]
[A person opens a door], walks through it and closes it.
[A person is jumping up and down on both legs].
[Someone marches on the spot].
[a gymnast performs a backward roll] and stands up
[A person walks in a zigzag line, beginning with the right foot].
[A person stops walking], looks at their watch and continues.
[A person throws a ball overhand].
[A human sits on a chair and moves both feet].
[he runs], then jumps, then runs again
[the person seems to be drunk, walking in a swaying manner]
[A person holds something in both hands], shakes it, and pours it out
[A person is standing upright] and then bows down.
[Somebody is fixing something with a screwdriver].
[A person does a squat], comes up again, and repeats this three times.
[A human steps back, as though startled]
[A person scratches his head] and walks on
[A person goes backwards] before sitting on a chair
[walk around], sit, stand up
[sit], stand up, climb over
[throw football], catch
[swing arms], twist torso
[walk/stroll]
[sweep floor], mop floor
[walk crouched], crawl
[hop on the left heel], hop on the right heel
[long jump]
story - [walk around], wave arms, fall over
[punch], side kick, front kick
[step over object]
[pick up box], bend from knees
[fast run]
[jump forward], turn in the air
[A chases B], B turns
[waving both arms], shouting
[cold walk, hands under armpits]
[walk with stick], poke ground
[crouch walk], stand
[stand still], look around
[A lifts B]
[clap hands], cross arms, uncross
[idle], shift weight
[standing, looking around]
[balancing on a beam, arms out]
[warm up], stretch left leg
[tie shoe], get up and leave
[a man and a woman dance]
[two people walk] and talk
[a person, who is tall, walks forward]
[a person turns his head to the left and right]
[a person is on his knees and prays]
[the man is sitting cross-legged, playing a guitar]
[person on hands and knees crawling]
[a person leans to the left], then to the right
[a person makes a step to the left] followed by a step to the right
[he begins by stretching his arms] and then runs
[a person slowly walked in a counterclockwise circle]
[a person jumped up] and landed on both feet
[the figure crouches], looks left and right, then stands
[a man lifts his left foot off the ground]; hops
[someone is standing and waving both hands]
[a person stands with feet apart and swings both arms]
[a person stands still] then begins to run
[using both hands a person lifts a box], turns and sets it down
[with his left hand the man waves]
[a person gets on a bike] and rides away
[a person squats while holding a bar] and then jumps
[he does 5 pushups], rests
[he looks to his right], walks, and sits on a bench
[a person moves as if playing violin]
[a person walks clockwise in a large circle] and stops where he started
[a person carefully steps over a puddle], hops twice, and continues to walk
[A woman performs yoga poses].
[the person is lifting weights] and sets them down
[the man slowly gets down on one knee] and proposes
[someone throws a frisbee] and walks away
[a man is shaking his head while talking on the phone]
[a man paces back and forth, rubbing his chin]
[a person shuffles to the right], then shuffles to the left
[walking forward], stopping, turning
[A person moves his left arm in circles].
[the man ducks] and covers his head
[a figure holds a pose with arms extended]
[a person vacuums the floor]
[person twirls] and twirls
[he runs up to the line] and throws a javelin
[a man raises his hand to greet someone]
[a person washes a window in big circles with the right hand]
[someone juggles three balls]
[a person is laying on the ground] and gets up
[a person walks like a zombie with stiff arms]
[a person sneaks forward] and looks over his shoulder
[a person takes a few steps backwards] and then jumps over a ditch
[a person swings a sword at an enemy] and then parries
[a man in a hurry runs] and trips
[a man carries a heavy box from left to right]
[a man turns to face the wall]
[she touches her toes] and comes back up
[he crosses his arms], uncrosses them
[a person stretches to the left side], then the right side
[slowly walking forward] and waving
[jumps], twirls and bows
[quickly runs to the left], stops
[a person appears to be playing drums]
[he seems to dance]
[a person practices karate moves]
[he is jogging in place], then he stops to catch his breath
[a person places a cup on the shelf with the left hand]
[a man squats to pick up a weight] and lifts it overhead
[a person leans over], picks up a ball, throws it.
[a person bends his knees and arms]
[a person bends his knees] and jumps up high
[person walks] and stumbles, falls
[a man walks with a limp]
[while sitting the person moves the legs]
[while he sits, the man drinks coffee] and then stands up
after [standing up], the man walks away
after [he bows] he leaves
a person walks off after [bowing to the crowd]
[a person runs after a ball]
[a person stands before a mirror]
[a person stands facing forward and raises the left arm]
[a person stands, arms raised]
[side step left], side step right
[one hand push up]
[spin kick]
[hop over obstacle], land
[slip], fall down, get up
[swing from bar], drop down
exercise: [squats], lunges, pushups
soccer - [dribble ball], kick, run
[shake hands], bow
[lift weights]
[angry walk]
[hands on hips]
[reach for object on the shelf]
[look left and right]
[look left], look right
[sad walking]
[cross street], wait, wave to friend
[jog slowly], turn around to the left, jog back
[throw], catch, and bounce ball
[catch ball with both hands] and throw
[rowing boat]
[hold rail while walking down stairs]
[hug], shake, part
[he turns approx. 90 degrees] and walks off
[she’s walking] and then she's running
[he's sitting on a bench and eats]
[a person hops], and after that he sits
[a person walks] and after a few seconds turns around
[a man walks forward] and side-steps to the left
[a man stands in front of a building] and then leaves
[(slow walk)]
""".strip().splitlines()

@pytest.mark.parametrize('tagger', TAGGERS)
def test_first_actions(tagger):
    wrong = []
    for line in FIRST:
        text = line.replace('[', '').replace(']', '')
        expected = line[line.index('[')+1:line.index(']')]
        if first_action(text, tagger).rstrip('.')!=expected.rstrip('.'): wrong.append(line)
    assert len(FIRST)>250 and wrong==[]

SWAPPED = """
raises the left hand = raises the right hand
left, right, left = right, left, right
kicks with the left leg, punches with the right fist = kicks with the right leg, punches with the left fist
walks to the left and then to the right = walks to the right and then to the left
the man left of the box waves = the man right of the box waves
steps to the right before sitting down = steps to the left before sitting down
turns right after walking = turns left after walking
looks right in front of the door = looks left in front of the door
the arm that is left of the body = the arm that is right of the body
he is left handed = he is right handed
a right-handed pitch = a left-handed pitch
a Left/Right jab = a Right/Left jab
Left_Front_Kick = Right_Front_Kick
the left's palm = the right's palm
leaning leftward, then rightwards = leaning rightward, then leftwards
the leftmost foot = the rightmost foot
turns right around = turns left around
the person left arm up = the person right arm up
a lefty and a righty = a righty and a lefty
walks clockwise = walks counterclockwise
CLOCKWISE then CCW = COUNTERCLOCKWISE then CW
all the way to the left = all the way to the right
from left to right = from right to left
left foot in front of right = right foot in front of left
sways left and right = sways right and left
her left is up = her right is up
""".strip().splitlines()

KEPT = """
the man left the room
the woman has left
she left quickly
he left his chair
they left and came back
a person who left early
is left alone
was left standing
nothing is left
what's left
all left
sits down right away
right now he waves
that's right
all right
is right behind the wall
sits right next to a friend
stands right in front of a mirror
waves right before sitting
a right angle
bent at right angles
right side up
stands upright
a bright light
an outright win, a copyright
the leftover food
alright
""".strip().splitlines()

def test_mirrored_sentences():
    for line in SWAPPED:
        a,b = line.split(' = ')
        assert (mirror_words(a), mirror_words(b))==(b, a)
    assert [text for text in KEPT if mirror_words(text)!=text]==[]
    for turn in ('counter-clockwise', 'anticlockwise', 'anti clockwise', 'counter clock-wise'):
        assert mirror_words(f'walks {turn}')=='walks clockwise'

def test_word_lists():
    "Lists hold lower-case words, each once; no function word has two letters; lists of verbs hold known base forms."
    lists = captions._action_file()
    for heading in (h for h,words in lists.items() if isinstance(words, str)):
        words = lists[heading].split()
        assert words and len(words)==len(set(words)) and all(w==w.lower() for w in words), heading
    letters = [w for words in lists['function_words'].values() for w in words.split()]
    assert len(letters)==len(set(letters))
    assert {form.lemma for form in irregular_forms().values()}<=word_list('verbs')|{'die'}
    verbs = ('performing', 'postures', 'low_postures', 'holds', 'ends_posture', 'manner', 'broad', 'to_a_side')
    for heading in verbs:
        assert all(verb_form(w)==(w,'base') for w in word_list(heading)), heading

def test_tags_of_the_file():
    "Used where they fit the words, with or without numbers; otherwise the caption is tagged."
    def tags(line, tagger=None): return caption_tags(parse_caption(line), tagger)
    assert tags('he hops 4 times!#he/PRON hop/XX times/YY#0#0')==['PRON','XX','NUM','YY','PUNCT']
    assert tags("he doesn't hop#he/PRON do/AUX n't/PRT hop/VERB#0#0")==['PRON','AUX','ADP','VERB']
    assert tags('he hops#he/PRON hop/VERB up/ADP#0#0', 'own')==['PRON','VERB']

def test_wrong_tags_do_not_mislead():
    tags = 'a/DET man/NOUN hops/NOUN bends/NOUN down/ADP and/CONJ bows/NOUN'
    assert first_action(parse_caption(f'A man hops, bends down and bows.#{tags}#0#0'))=='A man hops'

@pytest.mark.parametrize('name', TAGGERS)
def test_faster_prediction_is_nltks(name, monkeypatch):
    from nltk.tag.perceptron import AveragedPerceptron
    tagger = captions._tagger(name)
    sentences = [[w.lower() for w,_,_ in split_words(line)] for line in FIRST]
    fast = [tagger.tag(s) for s in sentences]
    def slow_predict(features, return_conf=False):
        return AveragedPerceptron.predict(tagger.model, features, return_conf)
    monkeypatch.setattr(tagger.model, 'predict', slow_predict)
    assert [tagger.tag(s) for s in sentences]==fast

def test_shipped_tagger():
    params = read_json(asset('tagger.json'))
    assert asset('tagger.json').stat().st_size<400_000
    assert set(params['classes'])<=set(PENN_TO_UNIVERSAL.values())|{'PUNCT'}
    for weights in params['weights'].values():
        assert all(np.isfinite(w) and tag in params['classes'] for tag,w in weights.items())

WITHOUT_NLTK_WEIGHTS = """
import sys
from text2pose import captions
assert 'nltk' not in sys.modules and 'yaml' not in sys.modules
import nltk
nltk.data.path[:] = [sys.argv[1]]
print(captions.default_tagger(), '|', captions.first_action('a man walks and waves'))
"""

def test_without_nltk_weights(tmp_path):
    command = [sys.executable, '-c', WITHOUT_NLTK_WEIGHTS, str(tmp_path)]
    r = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=offline_env())
    assert r.stdout.strip()=='own | a man walks', r.stderr

INFLECTED = """
walk s walks
carry s carries
reach s reaches
hop ing hopping
lie ing lying
dance ing dancing
stop ed stopped
carry ed carried
swing ed swung
play ed played
""".strip().splitlines()

@pytest.mark.skipif(len(TAGGERS)<2, reason="NLTK's weights are not installed")
def test_training_sentences(monkeypatch):
    "The grammar that the small tagger learns from is deterministic, and says what it means to."
    monkeypatch.syspath_prepend(str(ROOT/'tools'))
    from make_tagger import Grammar, inflect
    a,b = Grammar(0),Grammar(0)
    sentences = [a.sentence() for _ in range(200)]
    assert sentences==[b.sentence() for _ in range(200)]
    assert {tag for s in sentences for _,tag in s}<=set(PENN_TO_UNIVERSAL.values())|{'PUNCT'}
    for line in INFLECTED:
        verb,form,word = line.split()
        assert inflect(verb, form)==word

def height(x, joint): return x[:,joint_idx(joint),2]

# beginning of a label → what is largest, (frames,), when the action is at its height
EXTREMES = {
    'kick left':lambda x: height(x, 'left_foot'),
    'squat':lambda x: -height(x, 'pelvis'),
    'lie down':lambda x: -height(x, 'head'),
    'deposit floor':lambda x: -np.minimum(height(x, 'left_wrist'), height(x, 'right_wrist')),
    'elbow to knee':lambda x: np.maximum(height(x, 'left_knee'), height(x, 'right_knee')),
    'grab high right':lambda x: height(x, 'right_wrist'),
    'throw':lambda x: np.linalg.norm(x[:,joint_idx('right_wrist')]-x[:,joint_idx('right_shoulder')], axis=-1)}

@pytest.mark.skipif(not DATA, reason='TEXT2POSE_DATA is not set')
def test_key_frames_show_the_action(capsys):
    "On clips of one action: how far (0 to 1) the limb that the label speaks of has gone at the key frame, of its way."
    at_key,at_middle = {},{}
    for clip in read_realmocap22(f'{DATA}/realmocap22', ('hdm05',)):
        for name,measure in EXTREMES.items():
            if not clip.captions[0].text.startswith(name): continue
            v = measure(clip.joints)
            v = (v-v.min())/np.ptp(v)
            at_key.setdefault(name, []).append(v[key_frames(clip.joints)[0]])
            at_middle.setdefault(name, []).append(v[len(v)//2])
    with capsys.disabled():
        print()
        for name,v in at_key.items():
            middle = np.mean(at_middle[name])
            print(f'{name:16} {len(v):3} clips   key frame {np.mean(v):.2f}   middle frame {middle:.2f}')
    assert len(at_key)==len(EXTREMES) and np.mean([np.mean(v) for v in at_key.values()])>.95
