// What the view of one kernel says to its template.

/** Fields of one kernel's template. `scratch`: the expression of its bytes per worker, where it wants any. */
export type KernelView = { readonly header: string; readonly scratch?: string } & Readonly<
  Record<string, string | number | boolean>
>;
