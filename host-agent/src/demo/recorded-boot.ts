/**
 * A recorded boot of the demonstration's guest: what it asked of its disk from power-on to login, and when; and what writing
 * its files did. Recorded with nbdkit's log filter under the default guest of @diskswarm/guest, on the third of three boots;
 * the guest's own computing time is scaled to a start of three seconds.
 *
 * Operations are separated by white space: r (read) or w (write) and OFFSET.LENGTH in sectors of 512 bytes, base 36, then
 * + and the milliseconds that the guest computed since the answer before; f is a flush. replay.ts plays it.
 */

/** Size of the recorded disk. */
export const RECORDED_SIZE_BYTES = 268435456;

/** Its data, as [first, count] in units of 64 KiB; the rest is zero. */
export const RECORDED_DATA: readonly (readonly [first: number, count: number])[] = [
  [0, 4],
  [32, 1968],
  [2048, 1],
];

/** Power-on to login. */
export const RECORDED_BOOT = `
r0.1+85 r0.8+2328 r2.2+9 r0.8+1 r8.8+2 r1k.74+5 r1c.8+1 r5ma8.8+4 w0.8+6 f+1 r374.8+14 r68w.8+3 r388.8+1
r38g.w+1 r648.3s+13 r39c.68+4 r428.74+1 r5jc.74+2 r3h4.74+4 r4aw.74+6 r4i0.6g+3 r3fk.1k+2 r3wo.5k+6 r5ww.74+2
r694.8 r5qg.4g+3 r3o8.6o+2 r4og.3k+1 r5uw.20+2 r50o.74+7 r640.8+4 r57s.40+63 r5bs.6o+28 r68g.8+27 r68o.8+20
r69s.8+55 r2l4g.8 r2l4o.8 r2l4w.74+1 r2lc0.74+1 r2lj4.74 r2lq8.74+1 r2lxc.74 r2m4g.74+5 r2mbk.74+6 r2mio.74+11
r2mps.74+4 r2mww.74+16 r2n40.74+16 r2nb4.3k+9 r6a0.8+1 rkqo.8 rkqw.14 r8o.34+1 r3gsw.8 r3gv4.74 r3h28.1c+18
r3i40.8 r3ie8.w rmj4.8 rp3c.20 rp7k.74 rpeo.e8+1 rpsw.74 rq00.74 rq74.74 rqe8.74 rqlc.74 rqsg.74 rqzk.74 rr6o.74
rrds.3c r1a1s.8 r1c4w.20 r41n4.8 r46e8.74 r46lc.74 r46sg.74 r46zk.74 r476o.74 r47ds.e8+1 r47s0.74 r47z4.74
r4868.e8 r48kg.3c r1vy8.8 r1w6o.74 r1wds.1c r1xi0.74 r1xp4.74 r1xw8.40 r20b4.8 r22yw.o r4zoo.8 r54l4.74 r54s8.e8
r556g.74 r55dk.74 r55ko.2o r2dw8.8 r2f1c.74 r2f8g.74 r2ffk.74 r2fmo.74 r2fts.74 r2g0w.2g
`;

/** What writing each file did, by its name. */
export const RECORDED_WRITES: Readonly<Record<string, string>> = {
  report: 'w5hi0.wo w5ma8.8 w5mag.1s f w5mc8.8 f w5vr4.8 w5mcg.1k f w5me0.8 f',
  photos: 'w5yww.1z4 w60w0.ag w5me8.1k f w5mfs.8 f w5vr4.8 w5mg0.g f w5mgg.8 f',
  notes: 'w5vrc.28 w5mgo.1k f w5mi8.8 f w5vr4.8 w5mig.g f w5miw.8 f',
  slides: 'w5ieo.1cw w5ma8.8 w5mag.1s f w5mc8.8 f w5vr4.8 w5mcg.g f w5mcw.8 f',
  mail: 'w5ssg.6o w5md4.1k f w5meo.8 f w5vr4.8 w5mew.g f w5mfc.8 f',
};
