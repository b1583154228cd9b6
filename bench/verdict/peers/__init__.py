"""What others judge a deployment by, on the same counts. In: a day. Out: when each would have called it worse."""
