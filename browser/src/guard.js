// The page is a guest's house: whatever goes wrong in here must not be noticed out there.

/** `act`, as a function that never throws. */
export const guarded = (act) =>
  function (...given) {
    try {
      return act.apply(this, given);
    } catch {
      // Nobody there could do anything about it.
    }
  };
