"""A film of the page for README.md: words are typed, bodies appear and are turned; every frame is a real picture.

    python tools/make_film.py FOLDER figures/page.gif   # FOLDER: made by text2pose export-web

Needs Chromium and the packages playwright and pillow. Frames are taken one after the other, so a slow machine makes the
same film.
"""
import argparse, functools, http.server, io, shutil, sys, threading
from pathlib import Path
from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'tests'))
from browser import FLAGS

SIZE = dict(width=1000, height=620)
PROMPTS = ('a person waves with the left hand', 'golf swing', 'sitting on the floor and thinking', 'flying kick')
LOADING_MS = 600_000

class Film:
    "Pictures of a page, and how long each is shown."
    def __init__(self,
        page,
        width:int, # pixels of the film
    ):
        self.page,self.width,self.frames,self.durations = page,width,[],[]

    def shoot(self, ms=120):
        "One more picture."
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert('RGB')
        self.frames.append(picture.resize((self.width, round(picture.height*self.width/picture.width)), Image.LANCZOS))
        self.durations.append(ms)

    def save(self, path):
        "Write the film with one palette for all frames."
        palette = self.frames[len(self.frames)//2].quantize(96)
        frames = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in self.frames]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=self.durations, loop=0, optimize=True)

def record(page, film, prompts):
    "Type each prompt, generate, turn the bodies once round a quarter and back."
    for seed,prompt in enumerate(prompts):
        page.fill('#prompt', '')
        for i in range(0, len(prompt)+1, 4):
            page.fill('#prompt', prompt[:i+4])
            film.shoot(90)
        page.fill('#n', '3')
        page.fill('#seed', str(seed))
        page.click('#go')
        page.wait_for_function("document.getElementById('status').textContent.match(/^3 poses in/)", timeout=LOADING_MS)
        page.wait_for_timeout(500)
        film.shoot(900)
        box = page.locator('canvas').bounding_box()
        x,y = box['x']+30, box['y']+30  # beside the bodies, whose joints would be named
        page.mouse.move(x, y)
        page.mouse.down()
        for k in (*range(1, 10), *range(8, -6, -1)):
            page.mouse.move(x+22*k, y)
            page.wait_for_timeout(150)
            film.shoot(110)
        page.mouse.up()
        film.shoot(500)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('folder', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('--width', type=int, default=720)
    a = p.parse_args()
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args): pass
    server = http.server.ThreadingHTTPServer(('127.0.0.1',0), functools.partial(Quiet, directory=a.folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which('chromium'), args=FLAGS.split())
        page = browser.new_page(viewport=SIZE)
        page.goto(f'http://127.0.0.1:{server.server_port}/')
        page.wait_for_function('window.text2pose?.state.ready', timeout=LOADING_MS)
        film = Film(page, a.width)
        record(page, film, PROMPTS)
        browser.close()
    server.shutdown()
    film.save(a.out)
    print(f'{a.out}: {len(film.frames)} frames, {sum(film.durations)/1000:.1f} s, {a.out.stat().st_size/1e6:.2f} MB')

if __name__=='__main__': main()
