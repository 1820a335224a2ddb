"Summaries: what they must tell of hand-written and atlas poses, in every style, exactly mirrored, and true."
import re
import numpy as np, pytest

from text2pose.atlas import atlas, atlas_joints
from text2pose.captions import mirror_words
from text2pose.data import mirror, own_poses
from text2pose.describe import STYLES, Description, describe, looking, summarize_poses
from text2pose.posecodes import mirror_statement, satisfies

OWN = {p['name']:p['joints'] for p in own_poses()}
X = np.stack(list(OWN.values()))

# what a summary of a hand-written pose must match: the most telling first
OWN_SAY = dict(
    standing='stands upright with both arms hanging',
    left_arm_raised='^A person stands upright with the left arm stretched straight up and the right arm hanging',
    arms_raised='both arms stretched straight up',
    t_pose='both arms stretched straight out to the sides',
    deep_squat='^A person squats deeply',
    half_squat='half squat',
    golf_address='^A person stands with both hands together.*leaning forward',
    left_kick='^A person stands on their right leg with their left leg stretched straight out in front',
    side_kick_right='^A person stands on their left leg with their right leg stretched straight out to the side',
    walking_left_forward='^A person takes a step with their left foot in front.*right hand in front',
    bow='^A person bows',
    waving_right_hand='right hand raised.*left arm hanging',
    hands_on_hips='both hands on the hips',
    arms_crossed='both arms crossed in front of the chest',
    sitting='^A person sits .*chair with both hands on the knees',
    sitting_on_floor='^A person sits on the floor with both legs stretched out in front',
    sitting_cross_legged='^A person sits cross-legged on the floor',
    sitting_on_heels='sits back on their heels',
    kneeling='^A person kneels upright on both knees',
    kneeling_on_one_knee_left='^A person kneels on their left knee',
    lunge_right='^A person lunges with their right foot in front',
    lying_on_back='^A person lies flat on their back',
    lying_face_down='^A person lies face down',
    cobra='^A person lies face down.*chest raised',
    plank='^A person holds a plank',
    downward_dog='hips pushed up high',
    hands_and_knees='on hands and knees',
    handstand='handstand',
    tree_pose='^A person stands on their left leg with the right foot against the left knee.*hands together above the head',
    praying='both hands together',
    saluting='right hand raised to the head',
    thinking='right hand at the chin and the left hand at the right elbow',
    hands_behind_head='both hands behind the head',
    arms_behind_back='both hands together behind the back',
    touching_toes='^A person bends far forward with straight legs.*hands at the feet',
    side_bend_left='^A person stands with the upper body bent sideways to the left',
    twist_right='twisted to the right',
    looking_up='head tilted back',
    surrender='both hands raised',
    archery='left arm stretched straight out to the side')
ATLAS_SAYS = dict(
    ballet_retire_flat_mirrored='left foot against the right knee',
    standing_attention='feet together and both arms hanging',
    lying_back_knees_to_chest='^A person lies on their back with both knees drawn up',
    kneeling_hands_folded='^A person kneels upright.*hands together (in front of the chest|at shoulder height)',
    yoga_five_pointed_star='both arms stretched straight out to the sides and both feet wide apart',
    hip_thrust='lies on their back with both knees bent and both feet on the floor',
    yoga_easy_seat_twist_mirrored='cross-legged.*twisted to the left')

def _summary(joints, **kwargs): return summarize_poses(joints[None], **kwargs)[0][0]

@pytest.mark.parametrize('name', OWN_SAY)
def test_summary_of_a_hand_written_pose(name):
    text = _summary(OWN[name]).text
    assert re.search(OWN_SAY[name], text), text

@pytest.mark.parametrize('name', ATLAS_SAYS)
def test_summary_of_an_atlas_pose(name):
    text = _summary(np.asarray(atlas_joints(name)).reshape(22, 3)).text
    assert re.search(ATLAS_SAYS[name], text), text

def _check(joints, summaries, style):
    for x,ds in zip(joints, summaries):
        for d in ds:
            assert isinstance(d, Description) and d.style==style
            assert d.codes and not any(c.startswith('!') for c in d.codes)
            assert satisfies(d.codes, x)[0], d
            assert 3<=len(d.text.split())<=45, d.text
            if style!='list': assert d.text[0].isupper() and d.text.endswith('.')

@pytest.mark.parametrize('style', STYLES)
def test_what_is_said_holds_and_is_mirrored_with_the_pose(style):
    summaries = summarize_poses(X, 3, style)
    _check(X, summaries, style)
    mirrored = [[(mirror_words(d.text),tuple(sorted(map(mirror_statement, d.codes)))) for d in ds] for ds in summaries]
    assert mirrored==[[(d.text,d.codes) for d in ds] for ds in summarize_poses(mirror(X), 3, style)]

def test_atlas_poses():
    x = np.stack([np.asarray(atlas_joints(name)).reshape(22, 3) for name in list(atlas())[::10]])
    summaries = summarize_poses(x)
    _check(x, summaries, 'sentence')
    sizes = np.array([len(ds[0].text.split()) for ds in summaries])
    assert (sizes>=8).mean()>.98 and (sizes<=35).mean()>.95
    assert np.mean(['holds a pose' in ds[0].text for ds in summaries])<.1

def test_the_first_summary_is_always_the_same():
    first = [ds[0] for ds in summarize_poses(X)]
    for n,seed in ((1,3),(4,0),(3,7)): assert [ds[0] for ds in summarize_poses(X, n, seed=seed)]==first
    assert [ds[0] for ds in summarize_poses(X[::-1])]==first[::-1]
    assert summarize_poses(X, 4, seed=1)==summarize_poses(X, 4, seed=1)!=summarize_poses(X, 4, seed=2)
    tall = summarize_poses(X*1.2)
    assert np.mean([a[0].text==b for a,b in zip(tall, (d.text for d in first))])>.95

def test_more_summaries_differ():
    distinct = [len({d.text for d in ds}) for ds in summarize_poses(X, 4)]
    assert np.mean(distinct)>2.5

def test_bad_requests():
    for kwargs,message in ((dict(style='poem'),'unknown style'), (dict(n=0),'n must'), (dict(seed=-1),'seed must')):
        with pytest.raises(ValueError, match=message): summarize_poses(X, **kwargs)
    with pytest.raises(ValueError, match='joints'): summarize_poses(X[0])
    assert summarize_poses(X[:0])==[]

def test_faces():
    "Who looks aside may be said to, on that side and no other; nothing else changes, and no code is claimed for it."
    faces = np.tile([1.,-.3,0], (len(X),1))
    left,right = describe(X, 4, faces=faces), describe(X, 4, faces=faces*[-1,1,1])
    plain = {re.sub(r'\W+', ' ', d.text) for ds in describe(X, 4) for d in ds}
    words = r'looking over the {0} shoulder|looking to the {0}\b|with the head turned to the {0}\b'
    assert not any(re.search(words.format('(left|right)'), text) for text in plain)
    told = [[bool(re.search(words.format(side), d.text.lower())) for ds in captions for d in ds]
            for side,captions in (('left',left),('right',right))]
    assert min(np.mean(t) for t in told)>.4
    assert not any(re.search(words.format('right'), d.text.lower()) for ds in left for d in ds)
    assert looking(X, [None]*len(X))==['']*len(X)
    def mirrored(captions): return [[(mirror_words(d.text),d.codes) for d in ds] for ds in captions]
    first = [[(ds[0].text,ds[0].codes)] for ds in summarize_poses(mirror(X), faces=faces*[-1,1,1])]
    swapped = [[(t,tuple(sorted(map(mirror_statement, c))))] for [(t,c)] in mirrored(summarize_poses(X, faces=faces))]
    assert first==swapped
    for ds in summarize_poses(X, 3, faces=faces):
        assert [d.text.count('looking') for d in ds]==[1,0,0] and 'looking to the left' in ds[0].text
    assert summarize_poses(X, 3, faces=[None]*len(X))==summarize_poses(X, 3)
    for wrong,says in ((faces[:1],'one per pose'), (faces*0,'face 0 must be'), (3,'one per pose')):
        for make in (describe, summarize_poses):
            with pytest.raises(ValueError, match=says): make(X, faces=wrong)

def test_looking_up_and_down():
    "Up and down count in the world and out of the chest; what the joints show already is not said twice."
    def face(yaw, pitch):
        yaw,pitch = np.radians([yaw,pitch])
        return np.cos(pitch)*np.sin(yaw), -np.cos(pitch)*np.cos(yaw), np.sin(pitch)
    stand = OWN['standing'][None]
    for yaw,pitch,way in ((0,0,''), (0,29,''), (0,31,'up'), (0,-29,''), (0,-31,'down'), (20,40,'up'), (33,0,''),
                          (37,0,'left'), (-37,-40,'right'), (0,85,'up')):
        assert looking(stand, [face(yaw, pitch)])==[way], (yaw,pitch)
        text = summarize_poses(stand, faces=[face(yaw, pitch)])[0][0].text
        expected = {'':'', 'left':'looking to the left', 'right':'looking to the right'}.get(way, f'looking {way}')
        assert ('looking' in text)==bool(way) and expected in text
        for d in describe(stand, 40, faces=[face(yaw, pitch)])[0]:
            assert not (way and re.search('(straight|look|facing|looking) (ahead|forward)', d.text.lower())), d.text
            assert satisfies(d.codes, stand[0])[0]
    bent = np.stack([OWN[n] for n in ('touching_toes','lying_on_back','lying_face_down','looking_up')])
    assert looking(bent, [(0,0,-1),(0,0,1),(0,0,-1),face(0,40)])==['']*4
