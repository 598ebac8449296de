"""man.py PAGES BIN - the manual pages that were built: mandoc has nothing to say, each program has one, each reference
leads somewhere, and every option that a program names in its usage stands in its page."""
import pathlib, re, subprocess, sys

PAGES, BIN = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
NEEDED = '''mtad.8 smtpd.8 cleanup.8 queued.8 deliverd.8 mapd.8 dnsd.8 historyd.8 mtactl.8 mansio.conf.5 mansio-maps.5
mansio-queue.5 sendmail.1 postdrop.1'''.split()
# Pages of the system that ours point to.
FOREIGN = {('less', '1'), ('systemd', '1'), ('cron', '8')}
faults = []

pages = {p.name: p for p in PAGES.glob('*.[158]')}
for name in NEEDED:
    if name not in pages:
        faults.append(f'{name} is missing')
for name, page in sorted(pages.items()):
    lint = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', page], capture_output=True, text=True)
    faults += lint.stdout.splitlines()
    text = page.read_text()
    if '.\\" @' in text:
        faults.append(f'{name}: a table was not put in')
    for to in re.findall(r'^\.Xr (\S+) (\d)', text, re.M):
        if '.'.join(to) not in pages and to not in FOREIGN:
            faults.append(f'{name}: there is no page {to[0]}({to[1]})')


def plain(name):
    return re.sub(r'(.)\x08\1|_\x08', r'\1', subprocess.run(['mandoc', '-T', 'ascii', pages[name]], capture_output=True, text=True,
                                                           check=True).stdout)


for program, page in (('mtad', 'mtad.8'), ('mtactl', 'mtactl.8')):
    if not (BIN / program).exists() or page not in pages:
        continue
    usage = subprocess.run([BIN / program, '--help'], capture_output=True, text=True).stdout.split('check build only')[0]
    words = set(re.findall(r'(?<![\w-])--?[A-Za-z][\w-]*', usage))
    body = plain(page)
    for word in sorted(words):
        if not re.search(rf'(?<![\w-]){re.escape(word)}(?![\w-])', body):
            faults.append(f'{page}: the option {word} of {program} --help is missing')
page = pages['sendmail.1'].read_text()
letters = set(re.search(r'^\.\\" options: (.*)', page, re.M).group(1)) - {':'}
explained = {c for line in page.splitlines() if line.startswith(('.It Fl', '.Fl')) for c in re.findall(r'Fl (\w)', line)}
if letters != explained:
    faults.append(f'sendmail.1 explains other options than there are: {sorted(letters ^ explained)}')
# Both references come from the same tables: each field once in each.
fields = re.findall(r'^\| `(\w+)` \|', pathlib.Path('docs/CONFIG.md').read_text().split('<!-- begin reference -->')[1], re.M)
listed = re.findall(r'^\.It Cm (\w+)$', pages['mansio.conf.5'].read_text().split('.Sh SECTIONS')[1], re.M)
if sorted(f for f in listed if f not in ('masquerade',)) != sorted(f for f in fields if f not in ('masquerade',)):
    faults.append(f'mansio.conf.5 and docs/CONFIG.md list different fields: {sorted(set(fields) ^ set(listed))}')
print('\n'.join(faults))
print(f'{len(faults)} problems' if faults else f'{len(pages)} pages in order')
sys.exit(bool(faults))
