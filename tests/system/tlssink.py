"""tlssink.py - an SMTP server of the test with TLS and AUTH, honest or not, that remembers every line it was told."""
import base64, hashlib, hmac, os, socket, ssl, threading

from host import free_port


class TlsSink:
    """with TlsSink(authority.server('mx.far.test')) as s: ... s.sessions -> [Session], s.wait_messages(1)

    how: what becomes of STARTTLS: 'ok', 'none' (not offered), 'refuse' (454), 'inject' (more behind 220), 'garbage'
    (no TLS at all), 'close', 'once' (the handshake of the first session fails), 'clear' (a cleartext line right after
    the handshake), 'notify' (close_notify at `at`), 'reset' (TCP reset at `at`), 'cleartext' (cleartext at `at`)
    """

    def __init__(self, context=None, host='127.0.0.1', port=None, how='ok', implicit=False, auth=(), users=None, need_auth=False,
                 at=None, clear_auth=(), auth_reply=None):
        self.context, self.host, self.port_wanted, self.how, self.implicit = context, host, port, how, implicit
        self.auth, self.clear_auth, self.users, self.need_auth, self.at = auth, clear_auth, users or {}, need_auth, at
        self.auth_reply = auth_reply
        self.sessions, self.messages = [], []
        self.cond = threading.Condition()

    def __enter__(self):
        self.listener = socket.create_server((self.host, self.port_wanted or free_port(self.host)), backlog=50)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                fd, _ = self.listener.accept()
            except OSError:
                return
            with self.cond:
                session = Session(self, fd, len(self.sessions))
                self.sessions.append(session)
            threading.Thread(target=session.run, daemon=True).start()

    def wait_messages(self, n, deadline=30):
        with self.cond:
            assert self.cond.wait_for(lambda: len(self.messages) >= n, deadline), \
                f'{len(self.messages)} of {n} messages came: {[s.lines for s in self.sessions]}'
            return list(self.messages)

    def wait_sessions(self, n, deadline=30):
        """n sessions that are over."""
        with self.cond:
            assert self.cond.wait_for(lambda: sum(s.over for s in self.sessions) >= n, deadline), [s.lines for s in self.sessions]
            return list(self.sessions)

    def in_clear(self):
        """Verbs of all sessions that came without TLS."""
        return [line.split()[0].upper() for s in self.sessions for secure, line in s.lines if not secure and line]


class Session:
    def __init__(self, sink, fd, number):
        self.sink, self.s, self.plain, self.number = sink, fd, fd, number
        self.lines = []             # (under TLS?, line)
        self.secure, self.over, self.user, self.buf = None, False, None, b''
        self.certificate = None     # of the client

    def run(self):
        try:
            if self.sink.implicit:
                self.shake()
            self.talk()
        except (OSError, EOFError, ssl.SSLError) as e:
            self.error = e
        finally:
            self.s.close()
            with self.sink.cond:
                self.over = True
                self.sink.cond.notify_all()

    def shake(self):
        self.buf = b''
        self.plain = self.s.dup()
        self.s = self.sink.context.wrap_socket(self.s, server_side=True)
        self.secure = self.s.version()
        self.certificate = self.s.getpeercert()

    def say(self, text):
        self.s.sendall(text.encode() + b'\r\n')

    def line(self):
        while b'\n' not in self.buf:
            got = self.s.recv(65536)
            if not got:
                raise EOFError
            self.buf += got
        line, self.buf = self.buf.split(b'\n', 1)
        text = line.rstrip(b'\r').decode('latin-1')
        self.lines.append((bool(self.secure), text))
        return text

    def talk(self):
        self.say('220 sink.test ESMTP')
        rcpts = []
        while True:
            text = self.line()
            verb = text.split(' ')[0].upper()
            if self.secure and verb == self.sink.at:
                return self.spoil()
            if verb in ('EHLO', 'HELO'):
                self.hello()
            elif verb == 'STARTTLS':
                if not self.starttls():
                    return
            elif verb == 'AUTH':
                self.authenticate(text)
            elif verb == 'QUIT':
                return self.say('221 bye')
            elif self.sink.need_auth and not self.user:
                self.say('530 5.7.0 log in first')
            elif verb == 'RCPT':
                rcpts.append(text)
                self.say('250 ok')
            elif verb == 'DATA':
                self.say('354 go')
                data = []
                while (line := self.line()) != '.':
                    data.append(line)
                with self.sink.cond:
                    self.sink.messages.append({'rcpt': rcpts, 'data': '\n'.join(data), 'tls': self.secure, 'user': self.user, 'session': self})
                    self.sink.cond.notify_all()
                rcpts = []
                if self.secure and self.sink.at == '.':
                    return self.spoil()
                self.say('250 2.0.0 taken')
            else:
                self.say('250 ok')

    def hello(self):
        caps = ['sink.test', 'PIPELINING', '8BITMIME']
        if self.sink.context and not self.secure and self.sink.how != 'none':
            caps.append('STARTTLS')
        auth = self.sink.auth if self.secure else self.sink.clear_auth
        if auth:
            caps.append('AUTH ' + ' '.join(auth))
        for i, c in enumerate(caps):
            self.say(f'250{"-" if i < len(caps) - 1 else " "}{c}')

    def starttls(self):
        how = self.sink.how
        if how == 'refuse':
            self.say('454 4.7.0 TLS is not available')
            return True
        if how == 'inject':
            self.s.sendall(b'220 go\r\n250-injected\r\n250-AUTH PLAIN\r\n250 SIZE 1\r\n')
            self.line()
            return False
        self.say('220 go')
        if how == 'close':
            return False
        if how == 'garbage' or (how == 'once' and self.number == 0):
            self.s.recv(4096)
            self.s.sendall(b'500 what is that\r\n')
            return False
        self.shake()
        if how == 'clear':
            self.plain.sendall(b'250 injected\r\n')
        return True

    def spoil(self):
        """Ends TLS in the middle, with words behind it."""
        if self.sink.how == 'reset':
            self.plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\x01\0\0\0\0\0\0\0')
            os.close(self.s.detach())
            return self.plain.close()
        if self.sink.how == 'notify':
            self.s.setblocking(False)
            try:
                self.s.unwrap()
            except (ssl.SSLError, OSError):
                pass
        self.plain.sendall(b'250 2.0.0 yes, in the clear\r\n' * 5)
        self.plain.settimeout(30)
        while self.plain.recv(4096):
            pass

    # ---- AUTH ----
    def ask(self, challenge):
        self.say('334 ' + base64.b64encode(challenge).decode())
        return base64.b64decode(self.line())

    def authenticate(self, text):
        words = text.split(' ')
        offered = self.sink.auth if self.secure else self.sink.clear_auth
        if words[1] not in offered:
            return self.say('504 5.5.4 not here')
        if self.sink.auth_reply:
            return self.say(self.sink.auth_reply)
        initial = base64.b64decode(words[2]) if len(words) > 2 else None
        if words[1] == 'PLAIN':
            _, user, password = (initial if initial is not None else self.ask(b'')).split(b'\0')
            good = self.sink.users.get(user.decode()) == password.decode()
        elif words[1] == 'LOGIN':
            user, password = self.ask(b'Username:'), self.ask(b'Password:')
            good = self.sink.users.get(user.decode()) == password.decode()
        else:
            user, good = self.scram(initial)
        if good:
            self.user = user.decode()
        self.say('235 2.7.0 welcome' if good else '535 5.7.8 wrong user or password')

    def scram(self, first):
        bare = first.split(b',', 2)[2]
        user, nonce = bare.split(b',')[0][2:], bare.split(b',')[1][2:]
        salt, count = os.urandom(16), 4096
        server_first = b'r=' + nonce + b'server,s=' + base64.b64encode(salt) + b',i=%d' % count
        final = self.ask(server_first)
        without, proof = final.rsplit(b',p=', 1)
        password = self.sink.users.get(user.decode())
        if password is None:
            return user, False
        salted = hashlib.pbkdf2_hmac('sha256', password.encode(), salt, count)
        mac = lambda key, what: hmac.new(key, what, 'sha256').digest()
        client, server = mac(salted, b'Client Key'), mac(salted, b'Server Key')
        message = bare + b',' + server_first + b',' + without
        signature = mac(hashlib.sha256(client).digest(), message)
        if bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature)) != client:
            return user, False
        shown = mac(server, message) if self.sink.how != 'liar' else bytes(32)
        self.ask(b'v=' + base64.b64encode(shown))
        return user, True
