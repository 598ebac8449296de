"""load.py - many SMTP clients that keep an exact account of what the server told them."""
import asyncio, itertools, random, re


class Account:
    """What became of each token: acked (250 after the dot), refused (4xx/5xx at any step), unknown (no answer).
    step: where a token was refused; rcpt: whom it was for. broken: connections that ended before their first message, as (step, how).
    serials: of the certificates that clients of TLS were shown."""

    def __init__(self):
        self.acked, self.refused, self.unknown, self.step, self.rcpt = {}, {}, {}, {}, {}
        self.broken, self.serials = [], set()
        self.counter = itertools.count(1)

    def __str__(self):
        return f'{len(self.acked)} acknowledged, {len(self.refused)} refused, {len(self.unknown)} without an answer'


class Lost(Exception):
    pass


async def reply(reader):
    text = b''
    while True:
        line = await asyncio.wait_for(reader.readline(), 120)
        if not line.endswith(b'\n'):
            raise Lost
        text += line
        if line[3:4] != b'-':
            return int(line[:3]), text.decode()


class Ended(Exception):
    """The server said 421."""


async def begin(port, account, tls):
    """A connection behind EHLO. tls: (port, context, name), TLS from the first byte."""
    step, writer = 'connect', None
    try:
        if tls:
            reader, writer = await asyncio.open_connection('127.0.0.1', tls[0], limit=1 << 20, ssl=tls[1], server_hostname=tls[2])
            account.serials.add(writer.get_extra_info('peercert')['serialNumber'])
        else:
            reader, writer = await asyncio.open_connection('127.0.0.1', port, limit=1 << 20)
        for step, line, want in (('greeting', b'', 220), ('ehlo', b'EHLO load.test\r\n', 250)):
            writer.write(line)
            code, text = await reply(reader)
            if code == 421 and step == 'ehlo':
                raise Ended
            if code != want:
                raise ValueError(text)
        return reader, writer
    except Exception as e:
        if writer:
            writer.close()
        if not isinstance(e, Ended):
            account.broken.append((step, repr(e)))
            raise Lost from e
        raise


async def session(port, account, rcpts, stop, rng, sizes, sender, tls=None, pace=0):
    reader, writer = await begin(port, account, tls)
    try:
        for _ in range(rng.randint(1, 20)):
            if stop.is_set():
                return
            if pace:
                await asyncio.sleep(pace)
            token = f'tok{next(account.counter)}x'
            rcpt = account.rcpt[token] = rng.choice(rcpts)
            step = 'mail'
            try:
                writer.write(f'MAIL FROM:<{sender}>\r\n'.encode())
                code, text = await reply(reader)
                if code != 250:
                    raise ValueError(text)
                step = 'rcpt'
                writer.write(f'RCPT TO:<{rcpt}>\r\n'.encode())
                code, text = await reply(reader)
                if code != 250:
                    raise ValueError(text)
                step = 'data'
                writer.write(b'DATA\r\n')
                code, text = await reply(reader)
                if code != 354:
                    raise ValueError(text)
                step = 'body'
                line = b'0123456789' * 7 + b'\r\n'
                writer.write(f'Subject: {token}\r\n\r\n'.encode() + line * (rng.choice(sizes) // 72) + b'.\r\n')
                code, text = await reply(reader)
                if code == 250:
                    account.acked[token] = re.search(r'([0-9A-Z]{13})', text).group(1)
                else:
                    raise ValueError(text)
            except ValueError as e:
                account.refused[token], account.step[token] = str(e), step
                if str(e).startswith('421'):
                    return
                writer.write(b'RSET\r\n')
                await reply(reader)
            except (Lost, OSError, asyncio.TimeoutError):
                account.unknown[token] = step
                raise Lost
        writer.write(b'QUIT\r\n')
        await reply(reader)
    finally:
        writer.close()


async def client(port, account, rcpts, stop, seed, sizes, sender, tls, pace):
    rng = random.Random(seed)
    while not stop.is_set():
        try:
            await session(port, account, rcpts, stop, rng, sizes, sender, tls, pace)
        except Ended:
            pass
        except (Lost, OSError, asyncio.TimeoutError, ValueError):
            await asyncio.sleep(0.05)       # the server is being restarted: a client that backs off, not a wait for luck


async def run(port, rcpts, clients, during, seed=1, sizes=(200, 3000, 3000, 70_000, 300_000), sender='user@demo.test', tls=None, pace=0):
    """Runs `clients` clients while the coroutine function `during` works; returns the account. tls: (port, context,
    name): every third client speaks TLS and verifies the certificate. pace: seconds between messages of a client."""
    account, stop = Account(), asyncio.Event()
    tasks = [asyncio.create_task(client(port, account, rcpts, stop, seed * 1000 + i, sizes, sender, tls if i % 3 == 0 else None, pace)) for i in range(clients)]
    try:
        await during(account)
    finally:
        stop.set()
        await asyncio.gather(*tasks, return_exceptions=True)
    return account
