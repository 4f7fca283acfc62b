/** The addresses of the names `first.test` and `second.test` that nobody listens at; in either order of the numbers. */
export const DEAD = { first: "127.0.0.1", second: "127.0.0.7" } as const;
/** The other addresses of these names. */
export const LIVE = { first: "127.0.0.7", second: "127.0.0.1" } as const;
/** The first address of `hole.test`: what is sent to its port is lost. */
export const HOLE = "127.0.0.1";
/** The port of {@linkcode HOLE}. */
export const HOLE_PORT = 20_999;
