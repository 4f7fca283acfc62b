/** The addresses of the names `first.test` and `second.test` without a listener; in either numerical order. */
export const DEAD = { first: "127.0.0.1", second: "127.0.0.7" } as const;
/** The other addresses of these names. */
export const LIVE = { first: "127.0.0.7", second: "127.0.0.1" } as const;
/** The first address of `hole.test`: packets to its port are lost. */
export const HOLE = "127.0.0.1";
/** The port of {@linkcode HOLE}. */
export const HOLE_PORT = 20_999;
