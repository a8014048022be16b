/** What the command line asks of the dashboard: method → [parameters, result, events before the result]. */
export interface DashboardMethods {
  /** `url` opens the page once, within ten minutes. */
  'dashboard.open': [Record<string, never>, { listen: string; url: string }, never];
  /** Whoever asks signs the invitations that pages want, until it goes away. */
  'dashboard.sign': [
    Record<string, never>,
    Record<string, never>,
    {
      event: 'invitationWanted';
      id: number;
      name: string;
      hostId: string;
      role: 'reader' | 'writer' | 'keeper';
    },
  ];
  /** `invitation` is null when it was not made, for `reason`. */
  'dashboard.signed': [{ id: number; invitation: string | null; reason: string }, Record<string, never>, never];
}
