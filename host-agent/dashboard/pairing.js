/**
 * Bringing hosts together: this host's id for an owner elsewhere, and invitations for other hosts, which an owner signs who is here.
 */
import { post } from './connection.js';
import { copyable, h, qrCode, show } from './elements.js';

const part = (id) => document.getElementById(id);

/** Once: what does not change. */
export function preparePairing({ hostId, qr }) {
  if (qr !== null) part('own-code').replaceChildren(qrCode(qr, "This host's id as a QR code"));
  part('own-id').replaceChildren(copyable(hostId, "This host's id"));
  part('invite').addEventListener('submit', (event) => {
    event.preventDefault();
    void invite(event.currentTarget);
  });
}

/** The disks that this host can say something about; a choice that is still there is kept. */
export function showDisksToInvite(disks, _hostId, signer) {
  const select = part('invite-disk');
  const chosen = select.value;
  const names = disks.filter(({ revoked }) => !revoked).map(({ name }) => name);
  show('invite-disk', names, () => names.map((name) => h('option', { value: name }, name)));
  if (names.includes(chosen)) select.value = chosen;
  show('signer', signer, () =>
    signer
      ? 'An owner is here and signs invitations.'
      : h(
          'span',
          {},
          'An invitation is signed with the owner’s key, which no host has: run ',
          h('code', {}, 'diskswarm dashboard --invite'),
          ' where the key is.',
        ),
  );
}

async function invite(form) {
  const button = form.querySelector('button[type=submit]');
  const result = part('invite-result');
  const { name, hostId, role } = Object.fromEntries(new FormData(form));
  button.disabled = true;
  result.replaceChildren(h('p', { class: 'quiet' }, 'Waiting for the owner’s signature…'));
  try {
    const answer = await post('/api/invitations', { name, hostId: hostId.replace(/\s+/g, '').toLowerCase(), role });
    result.replaceChildren(...answerOf(answer));
  } catch (error) {
    result.replaceChildren(h('p', { class: 'wrong' }, `The agent did not answer: ${error.message}`));
  } finally {
    button.disabled = false;
  }
}

function answerOf({ invitation, qr, error, command }) {
  if (invitation !== undefined) {
    return [
      h('p', {}, 'This line is for that host alone. There: ', h('code', {}, 'diskswarm disk join'), ' and the line.'),
      copyable(invitation, 'The invitation'),
      qr === null
        ? h('p', { class: 'quiet' }, 'It is too long for a QR code.')
        : h('div', { class: 'code' }, qrCode(qr, 'The invitation as a QR code')),
    ];
  }
  const said = [h('p', { class: 'wrong' }, `${error[0].toUpperCase()}${error.slice(1)}.`)];
  if (command !== undefined)
    said.push(h('p', {}, 'The owner can run this instead:'), copyable(command, 'The command for the owner'));
  return said;
}
