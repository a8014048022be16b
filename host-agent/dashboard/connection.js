/**
 * The page's connection to its agent: a session for the code in the link, then server-sent events until the tab is closed.
 *
 * The session is kept in this tab alone, and sent in a header. The code leaves the address bar at once; it opens nothing a second time.
 */
const KEY = 'diskswarm-session';
const RETRY_MS = 2000;
/** Longer than any event: a stream that holds more is not the agent's. */
const MAX_EVENT_CHARS = 64 * 1024 * 1024;

/** The session is not, or no longer, one of the agent. */
export class NoSession extends Error {}

/** Exchanges the link's code where there is one; says what is wrong with it. */
export async function openSession() {
  const code = /^#code=([0-9a-f]+)$/.exec(location.hash)?.[1];
  if (code === undefined) {
    if (sessionStorage.getItem(KEY) === null) throw new NoSession('This page needs a fresh link.');
    return;
  }
  history.replaceState(null, '', location.pathname);
  const answer = await post('/api/session', { code });
  if (answer.session !== undefined) sessionStorage.setItem(KEY, answer.session);
  else if (sessionStorage.getItem(KEY) === null) throw new NoSession(`${answer.error}.`);
}

/** Asks the agent to do something; its answer, also when it refuses. */
export async function post(path, body) {
  const response = await fetch(path, {
    method: 'POST',
    headers: { ...authorization(), 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { ...(await response.json()), ok: response.ok, status: response.status };
}

/** Calls `onEvent(name, data)` for what the agent tells, and `onState(text)` as the connection comes and goes; rejects with NoSession. */
export async function follow(onEvent, onState) {
  for (;;) {
    try {
      const response = await fetch('/api/events', { headers: authorization(), cache: 'no-store' });
      if (response.status === 401) {
        sessionStorage.removeItem(KEY);
        throw new NoSession('The agent was started anew since this page was opened.');
      }
      if (!response.ok) throw new Error((await response.json()).error);
      onState('live');
      await readEvents(response.body, onEvent);
      throw new Error('the agent ended the connection');
    } catch (error) {
      if (error instanceof NoSession) throw error;
      onState('no answer from the agent; trying again');
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function readEvents(body, onEvent) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    if (held.length > MAX_EVENT_CHARS) throw new Error('an endless event');
    for (let end = held.indexOf('\n\n'); end >= 0; end = held.indexOf('\n\n')) {
      const lines = held.slice(0, end).split('\n');
      held = held.slice(end + 2);
      const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      onEvent(field('event'), JSON.parse(field('data')));
    }
  }
}

function authorization() {
  const session = sessionStorage.getItem(KEY);
  return session === null ? {} : { Authorization: `Bearer ${session}` };
}
